"""Runs of the program: summaries, errors, progress and Ctrl-C."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, List

import pytest

import nodulus
from nodulus import _run


def test_a_run_without_work_says_so(made: Path, capfd: pytest.CaptureFixture[str]) -> None:
    summary = nodulus.run(made / "pipeline.toml", last="balance")
    assert summary.status == 0 and summary["store"] == str(made / "store")
    assert all(stage["n_made"] == 0 for stage in summary["stages"]) and summary["n_failures"] == 0
    assert len(summary) == len(list(summary)) > 3
    out, err = capfd.readouterr()
    assert out == "" and "sources" in err
    nodulus.run(made / "pipeline.toml", last="balance", progress=None)
    assert capfd.readouterr() == ("", "")


def test_a_dry_run_changes_nothing(made: Path, tmp_path: Path) -> None:
    summary = nodulus.run(made / "pipeline.toml", set={"crop.margin_slices": 2}, last="balance", dry_run=True, progress=None)
    assert "stages" in summary
    assert len(list((made / "store/rois/versions").iterdir())) == 1


def test_errors_carry_status_and_message(made: Path, tmp_path: Path) -> None:
    with pytest.raises(nodulus.RunError, match="`nodulus run` ended with status 2: .*there is no such file") as error:
        nodulus.run(tmp_path / "missing.toml")
    assert error.value.status == 2 and error.value.command[1] == "run"
    with pytest.raises(nodulus.RunError, match="did you mean") as error:
        nodulus.run(made / "pipeline.toml", set={"crop.margin_slics": 1})
    assert error.value.status == 2
    with pytest.raises(nodulus.RunError, match="there is no stage `xyz`"):
        nodulus.run(made / "pipeline.toml", first="xyz")
    # The store is a file.
    (tmp_path / "file").write_text("")
    with pytest.raises(nodulus.RunError) as error:
        nodulus.run(made / "pipeline.toml", store=tmp_path / "file", last="ingest", progress=None)
    assert error.value.status == 1 and "error" not in error.value.message[:6]
    with pytest.raises(nodulus.RunError, match="`nodulus score` ended with status 2"):
        nodulus.score(tmp_path / "missing.toml")


def test_failed_cases_are_no_error_and_are_told(made: Path, tmp_path: Path) -> None:
    root = tmp_path / "clinical"
    shutil.copytree(made / "store/phantom/clinical", root)
    mask = sorted(root.glob("*/mask*"))[0]
    mask.write_bytes(mask.read_bytes()[:100])
    settings = {"ingest.cohorts": [{"name": "clinical", "source": "volumes", "root": root}]}
    summary = nodulus.run(made / "pipeline.toml", store=tmp_path / "store", set=settings, last="ingest", progress=None)
    assert summary.status == 3 and summary.has_failed_cases and summary["n_failures"] == 1
    assert len(nodulus.open(tmp_path / "store")["failures"]) == 1


def test_a_night_without_input_is_a_summary_or_an_error(tmp_path: Path) -> None:
    (tmp_path / "input").mkdir()
    (tmp_path / "score.toml").write_text(f'[score]\ninput = "{tmp_path}/input"\n')
    with pytest.raises(nodulus.RunError) as error:
        nodulus.score(tmp_path / "score.toml", progress=None)
    assert error.value.status in (1, 2) and error.value.message


@pytest.mark.skipif(sys.version_info < (3, 11), reason="SKIPPED: Python before 3.11 has no parser of TOML")
@pytest.mark.parametrize(
    "value",
    [True, 3, -1.5, 1e-7, "", "true", 'a "b" \\ \n\t\x00\x7f é 🫁', ["a", 1.5], {"a b": [1], "c": {"d": False}}, Path("/x y")],
)
def test_settings_are_written_as_toml(value: Any) -> None:
    import tomllib

    expected = str(value) if isinstance(value, Path) else value
    assert tomllib.loads(f"value = {_run._toml('value', value)}")["value"] == expected


def test_a_setting_that_toml_lacks_is_refused() -> None:
    with pytest.raises(TypeError, match="the setting `crop.size` is None"):
        _run._options(None, {"crop.size": None}, None, None, None, False, False)


SLOW = "import nodulus; nodulus.run({pipeline!r}, set={{'phantom.patients': 300, 'phantom.size': 512}}, store={store!r})"


@pytest.mark.parametrize("to_group", [True, False])
def test_ctrl_c_stops_the_program(made: Path, tmp_path: Path, to_group: bool) -> None:
    code = SLOW.format(pipeline=str(made / "pipeline.toml"), store=str(tmp_path / "slow"))
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, start_new_session=True)
    assert process.stderr is not None
    assert b"phantom" in process.stderr.readline()
    children = _children(process.pid)
    assert len(children) == 1
    start = time.monotonic()
    if to_group:
        # As a terminal does.
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=60)[1].decode()
    assert "KeyboardInterrupt" in err and process.returncode != 0
    assert time.monotonic() - start < 30 and not Path(f"/proc/{children[0]}").exists()


def test_an_exception_of_the_callback_stops_the_program(made: Path, tmp_path: Path) -> None:
    lines: List[str] = []

    def stop(line: str) -> None:
        lines.append(line)
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        nodulus.run(made / "pipeline.toml", store=tmp_path / "slow", set={"phantom.patients": 300}, progress=stop)
    assert len(lines) == 1 and _children(os.getpid()) == []


def _children(pid: int) -> List[int]:
    """Processes that a process has started and that still run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(folder.name))
    return found


def test_the_program_is_found_or_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = nodulus.program()
    monkeypatch.setenv("NODULUS", str(found))
    assert nodulus.program() == found
    monkeypatch.setenv("NODULUS", str(tmp_path / "missing"))
    with pytest.raises(nodulus.ProgramNotFoundError, match="which is no program"):
        nodulus.program()
    monkeypatch.delenv("NODULUS")
    monkeypatch.setattr("nodulus._program._folders", lambda: iter([tmp_path]))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(nodulus.ProgramNotFoundError, match="pip install nodulus"):
        nodulus.run("pipeline.toml")


def test_the_module_is_the_program() -> None:
    version = subprocess.run([sys.executable, "-m", "nodulus", "--version"], check=True, stdout=subprocess.PIPE).stdout
    assert version.startswith(b"nodulus ")
