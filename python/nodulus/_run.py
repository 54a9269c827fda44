"""Runs the program: its progress as it comes, its summary as a value, its errors as exceptions."""

from __future__ import annotations

import collections
import json
import os
import signal
import subprocess
import sys
import threading
from typing import Any, Callable, Deque, Iterator, List, Mapping, Optional, Sequence, Union

from ._program import program
from .errors import NodulusError, RunError

Path_ = Union[str, "os.PathLike[str]"]
Stages = Union[str, Sequence[str]]
Progress = Optional[Callable[[str], None]]

_FAILED_CASES = 3
_SECONDS_TO_STOP = 5.0
"""How long the program has to end by itself after Ctrl-C, which reaches it on a terminal."""


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class Summary(Mapping[str, Any]):
    """What the program's `--json` printed: a mapping.

    Attributes:
        status: exit status: 0, or 3 where it finished with failed cases.
    """

    def __init__(self, status: int, values: Mapping[str, Any]) -> None:
        self.status = status
        self._values = dict(values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<nodulus.Summary status {self.status}: {self._values!r}>"

    @property
    def has_failed_cases(self) -> bool:
        """Whether cases failed: their causes are rows of the table `failures`, or the summary's `failures` of a nightly run."""
        return self.status == _FAILED_CASES


def run(
    pipeline: Path_,
    *,
    store: Optional[Path_] = None,
    set: Optional[Mapping[str, Any]] = None,
    first: Optional[str] = None,
    last: Optional[str] = None,
    keep: Stages = (),
    force: Stages = (),
    retry_failed: bool = False,
    dry_run: bool = False,
    allow_training_patients: bool = False,
    threads: Optional[int] = None,
    max_memory: Optional[str] = None,
    device: Optional[str] = None,
    progress: Progress = _to_stderr,
) -> Summary:
    """Runs every stage of a pipeline whose tables are missing or stale: `nodulus run`.

    Args:
        pipeline: pipeline file.
        store: folder of the store; overrides the pipeline file's.
        set: settings that override the pipeline file's, as in `{"crop.size": 64, "merge.rule": "luna16"}`.
        first, last: first and last stage to run.
        keep: stages to go on with as they are: train, report or ingest.
        force: stages to run again even if nothing changed.
        retry_failed: try failed cases again.
        dry_run: return what would be made, and change nothing.
        allow_training_patients: predict patients that the weights were trained or validated on too.
        threads: number of threads; one for each core by default.
        max_memory: memory for the voxels of scans, as in `"8GiB"`.
        device: where networks run: `"cpu"`, `"cuda:0"` or `"auto"`.
        progress: takes each line of progress; `None` shows none. Standard error by default.

    Returns:
        The summary. Where cases failed, its `has_failed_cases` is true: the other cases are done, and the run is not an error.

    Raises:
        RunError: the program stopped with an error (status 1) or was called in a wrong way (status 2).
        ProgramNotFoundError: the program is not installed.
        KeyboardInterrupt: of Ctrl-C, after the program has ended. The next run goes on where it was.
    """
    words = ["run", os.fspath(pipeline), "--json", "--progress", "none" if progress is None else "log"]
    words += _options(store, set, threads, max_memory, device, allow_training_patients, retry_failed)
    for option, stage in (("--from", first), ("--to", last)):
        words += [f"{option}={stage}"] if stage is not None else []
    for option, stages in (("--keep", keep), ("--force", force)):
        words += [f"{option}={stage}" for stage in ([stages] if isinstance(stages, str) else stages)]
    words += ["--dry-run"] if dry_run else []
    return _call(words, progress)


def score(
    nightly: Path_,
    *,
    store: Optional[Path_] = None,
    set: Optional[Mapping[str, Any]] = None,
    max_minutes: Optional[float] = None,
    retry_failed: bool = False,
    allow_training_patients: bool = False,
    threads: Optional[int] = None,
    max_memory: Optional[str] = None,
    device: Optional[str] = None,
    progress: Progress = _to_stderr,
) -> Summary:
    """Scores the new scans of an input folder: `nodulus score`, the nightly job.

    Args:
        nightly: nightly file.
        max_minutes: start no scan after this many minutes.
        progress: takes each line of the log; `None` shows none. Standard error by default.

    The other arguments are those of `run`. Ctrl-C lets the program finish the series at hand.

    Returns:
        The summary, `schemas/run-summary.schema.json` of the repository. Its `has_failed_cases` is true where scans stand failed or undone.

    Raises:
        As `run`.
    """
    words = ["score", os.fspath(nightly), "--json", "--log", "none" if progress is None else "text"]
    words += _options(store, set, threads, max_memory, device, allow_training_patients, retry_failed)
    words += [f"--max-minutes={max_minutes}"] if max_minutes is not None else []
    return _call(words, progress)


def _options(
    store: Optional[Path_],
    settings: Optional[Mapping[str, Any]],
    threads: Optional[int],
    max_memory: Optional[str],
    device: Optional[str],
    allow_training_patients: bool,
    retry_failed: bool,
) -> List[str]:
    words = [f"--store={os.fspath(store)}"] if store is not None else []
    words += [f"--set={key}={_toml(key, value)}" for key, value in (settings or {}).items()]
    for option, value in (("--threads", threads), ("--max-memory", max_memory), ("--device", device)):
        words += [f"{option}={value}"] if value is not None else []
    words += ["--allow-training-patients"] if allow_training_patients else []
    words += ["--retry-failed"] if retry_failed else []
    return words


def _toml(key: str, value: Any) -> str:
    """A value as TOML writes it.

    Raises:
        TypeError: TOML has no such value.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (str, os.PathLike)):
        # TOML's basic strings have the escapes of JSON's, but for the surrogates that ASCII output has, and DEL.
        return json.dumps(os.fspath(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(key, item) for item in value) + "]"
    if isinstance(value, Mapping):
        pairs = (f"{json.dumps(str(k), ensure_ascii=False)} = {_toml(key, v)}" for k, v in value.items())
        return "{ " + ", ".join(pairs) + " }"
    raise TypeError(f"the setting `{key}` is {value!r}, expected a text, number, truth value, list or mapping")


def _call(words: Sequence[str], progress: Progress) -> Summary:
    command = [str(program()), *words]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    answer: List[bytes] = []
    stdout, stderr = process.stdout, process.stderr
    reader = threading.Thread(target=lambda: answer.append(stdout.read()), daemon=True)
    reader.start()
    log: Deque[str] = collections.deque(maxlen=200)
    try:
        for line in stderr:
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            log.append(text)
            if progress is not None:
                progress(text)
        status = process.wait()
    except BaseException as error:
        # Read on, so that the program is not held up by a full pipe while it ends.
        drain = threading.Thread(target=lambda: collections.deque(stderr, maxlen=0), daemon=True)
        drain.start()
        _stop(process, was_interrupted=isinstance(error, KeyboardInterrupt))
        drain.join()
        raise
    finally:
        reader.join()
        stdout.close()
        stderr.close()
    if status not in (0, _FAILED_CASES):
        raise RunError(status, _message(list(log)), command)
    try:
        values = json.loads(answer[0])
    except (IndexError, ValueError) as error:
        raise NodulusError(f"`{command[0]}` printed no summary: {error}; is it a program of another version?") from error
    return Summary(status, values if isinstance(values, dict) else {"items": values})


def _stop(process: "subprocess.Popen[bytes]", *, was_interrupted: bool) -> None:
    """Ends the program and waits for it.

    On a terminal, Ctrl-C reaches the program too, which ends cleanly; a second signal would cut that short.
    """
    try:
        if was_interrupted:
            try:
                process.wait(_SECONDS_TO_STOP)
                return
            except subprocess.TimeoutExpired:
                pass
        process.send_signal(signal.SIGINT)
        process.wait()
    except KeyboardInterrupt:
        # Asked again: at once.
        process.kill()
        process.wait()


def _message(log: Sequence[str]) -> str:
    """The program's error, which is the last thing that it writes."""
    starts = [n for n, line in enumerate(log) if line.startswith("error: ")]
    lines = log[starts[-1] :] if starts else log[-1:]
    text = "\n".join(line for line in lines if line.strip())
    return text[len("error: ") :] if starts else text or "it gave no reason"
