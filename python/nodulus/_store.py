"""A store: its tables by name, and its regions."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Collection, Dict, Iterator, List, Optional, Tuple, Union

from . import _records
from ._regions import Region, RegionStack, Selection, Slices, each_region, stacked
from ._table import Part, Table
from .errors import DamagedError, StoreError, UnknownTableError, near_or_all

_LAYOUT = 2
"""Layout of the store that this package reads, as `store.json` names it."""

_ATTEMPTS = 4
_PAUSE_SECONDS = 0.1
_PATTERN = "part-*.parquet"
_NO_TABLES = frozenset({"checkpoint", "report"})
"""Outputs that are files and not tables."""

Path_ = Union[str, "os.PathLike[str]"]
Names = Union[None, str, Collection[str]]
Folds = Union[None, int, Collection[int]]


def open(path: Path_) -> Store:
    """Opens the store in a folder, such as `store/demo`. Nothing of it is changed.

    Raises:
        StoreError: the folder is missing or no store, or a store of another layout.
    """
    root = Path(path)
    if not root.is_dir():
        found = "is a file" if root.exists() else "does not exist"
        raise StoreError(f"`{root}` {found}, expected the folder of a store: `nodulus run` makes one")
    record = _records.read(root / "store.json")
    if record is None:
        raise StoreError(f"`{root}` is no store of nodulus: it has no `store.json`; name the folder that a run printed")
    if record.get("layout") != _LAYOUT:
        raise StoreError(
            f"`{root}` is a store of layout {record.get('layout')}, and this package reads layout {_LAYOUT}: "
            "install the version of nodulus that made it, or make it anew"
        )
    return Store(root)


class Store:
    """A store. `nodulus.open` makes it.

    Each use of a table looks at its current version, so that a store stays usable while runs change it. A `Table` keeps the
    version at which it was opened.

    Attributes:
        path: the store's folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"nodulus.open({str(self.path)!r})"

    def tables(self) -> List[str]:
        """Names of the tables that exist, in alphabetical order."""
        names = []
        for folder in self.path.iterdir():
            is_table = folder.name not in _NO_TABLES and not folder.name.startswith(".")
            if is_table and ((folder / "CURRENT").is_file() or _days(folder)):
                names.append(folder.name)
        return sorted(names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tables())

    def __contains__(self, name: object) -> bool:
        return name in self.tables()

    def __getitem__(self, name: str) -> Table:
        """As `table`."""
        return self.table(name)

    def table(self, name: str) -> Table:
        """A table by its name.

        Raises:
            UnknownTableError: there is no such table.
            DamagedError: a record or file of it is missing or damaged.
        """
        names = self.tables()
        if name not in names:
            raise UnknownTableError(f"store `{self.path}` has no table `{name}`{near_or_all(name, names)}")
        days = _days(self.path / name)
        if days:
            column = days[0][0]
            parts = [Part(path, None, None, self._day_hash(name, path)) for _, path in days]
            return Table(name, None, parts, column, [])
        # A run that makes a new version writes its record and swaps its files one after the other.
        for attempt in range(_ATTEMPTS):
            record = self._record(name)
            try:
                return Table(name, str(record["key"]), _parts(self.path / name, record), None, self._outdated(record))
            except DamagedError:
                if attempt + 1 == _ATTEMPTS:
                    raise
                time.sleep(_PAUSE_SECONDS)
        raise AssertionError("the last attempt returns or raises")

    def regions(
        self,
        *,
        split: Names = None,
        patient: Names = None,
        fold: Folds = None,
        cohort: Names = None,
        slices: Slices = "all",
    ) -> Iterator[Region]:
        """The regions of `rois` slice by slice, in the order of the table. One row group (about 6 MB) is in memory at a time.

        Each argument is a value or a list of values; without it, all are taken. `split` and `fold` are those of the nodule in
        `samples`. `slices` is `"all"`, or `"samples"` for those that `balance` chose for learning.

        Raises:
            UnknownTableError: the store has no `rois`, or no `samples` where they are needed.
            StoreError: `samples` or `rois` was made from other versions of its inputs than the current ones, or nothing in the
                store has a value that was asked for.
            DamagedError: a file is missing or damaged.
        """
        rois, selection = self._selection(split, patient, fold, cohort, slices)
        return each_region(rois, selection)

    def stacks(
        self, *, split: Names = None, patient: Names = None, fold: Folds = None, cohort: Names = None
    ) -> Iterator[RegionStack]:
        """The nodules' regions, each with its slices stacked again to arrays `[k, j, i]`, as `nodulus export rois` writes them.

        Arguments and errors are those of `regions`.
        """
        rois, selection = self._selection(split, patient, fold, cohort, "all")
        return stacked(each_region(rois, selection))

    def _selection(self, split: Names, patient: Names, fold: Folds, cohort: Names, slices: Slices) -> Tuple[Table, Selection]:
        if slices not in ("all", "samples"):
            raise ValueError(f"slices is {slices!r}, expected 'all' or 'samples'")
        rois = self.table("rois")
        self._check_made_of("rois", ["scans", "nodules"])
        samples = None
        if "samples" in self or split is not None or fold is not None or slices == "samples":
            samples = self.table("samples")
            self._check_made_of("samples", ["rois"])
        selection = Selection.of(_set(split), _set(patient), _set(fold), _set(cohort), slices, samples)
        selection.check(rois)
        return rois, selection

    def _check_made_of(self, name: str, inputs: Collection[str]) -> None:
        record = self._record(name)
        for made_of in record["inputs"]:
            if made_of["name"] not in inputs:
                continue
            now = self._content(made_of["name"])
            if now is not None and now != made_of["content_sha256"]:
                raise StoreError(
                    f"`{name}` was made from another version of `{made_of['name']}` than the current one: run "
                    f"`nodulus run PIPELINE --from {record['stage']}` first"
                )

    def _outdated(self, record: Dict[str, Any], depth: int = 0) -> List[str]:
        """Names of the outputs of which another version is current than the one that a version goes back to."""
        if record.get("kept_beside") or depth > 20:
            return []
        inputs: Dict[str, List[str]] = {}
        for made_of in record.get("inputs", []):
            # What comes from outside the store has the first digits of its content as its key.
            if not made_of["content_sha256"].startswith(made_of["key"]):
                inputs.setdefault(made_of["name"], []).append(made_of["content_sha256"])
        outdated: List[str] = []
        for name, contents in inputs.items():
            now = self._content(name)
            if now is None:
                continue
            older = [name] if now not in contents else self._outdated(self._record(name), depth + 1)
            outdated.extend(n for n in older if n not in outdated)
        return outdated

    def _content(self, name: str) -> Optional[str]:
        """SHA-256 of the content of an output's current version; `None` without one."""
        return str(self._record(name)["content_sha256"]) if (self.path / name / "CURRENT").is_file() else None

    def _current_key(self, name: str) -> str:
        path = self.path / name / "CURRENT"
        try:
            return path.read_text(encoding="ascii", errors="replace").strip()
        except OSError as error:
            raise StoreError(f"`{path}` cannot be read: {error.strerror}") from error

    def _record(self, name: str) -> Dict[str, Any]:
        """The record of an output's current version."""
        key = self._current_key(name)
        if len(key) != 16 or set(key) - set("0123456789abcdef"):
            raise DamagedError(f"`{self.path / name / 'CURRENT'}` is damaged; `nodulus fsck {self.path}` lists what is")
        path = self.path / name / "versions" / f"{key}.json"
        record = _records.read(path)
        fields = ("key", "output", "stage", "inputs", "rows", "content_sha256", "shards")
        if record is None or record.get("key") != key or any(field not in record for field in fields):
            found = "is missing" if record is None else "is the record of another version, or lacks fields"
            raise DamagedError(f"`{path}` {found}; `nodulus fsck {self.path}` lists what is damaged")
        return record

    def _day_hash(self, name: str, path: Path) -> Optional[str]:
        record = _records.read(self.path / "checksums" / name / f"{path.parent.name}.json")
        last = (record or {}).get("last")
        return str(last["sha256"]) if last else None


def _parts(folder: Path, record: Dict[str, Any]) -> List[Part]:
    """The files of a version in `current`, whose names number them by shard."""
    parts = []
    try:
        for shard, summary in enumerate(record["shards"]):
            for part in summary["parts"]:
                own = str(part["file"])
                if not own.startswith("part-") or "/" in own:
                    raise StoreError(f"`{folder.name}` is no table: it has the file `{own}`")
                path = folder / "current" / f"part-{shard:05}-{own[len('part-') :]}"
                sha256 = part.get("file_sha256") or part["content_sha256"]
                parts.append(Part(path, int(part["rows"]), int(part["bytes"]), str(sha256)))
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"the record of `{folder.name}` lacks what describes its files ({error!r})") from error
    return parts


def _days(folder: Path) -> List[Tuple[str, Path]]:
    """The column and the file of each folder of a table with a folder for each day, in order."""
    found = []
    for file in sorted(folder.glob("*=*/" + _PATTERN)):
        found.append((file.parent.name.partition("=")[0], file))
    return found


def _set(value: Any) -> Optional[frozenset[Any]]:
    if value is None:
        return None
    return frozenset([value]) if isinstance(value, (str, int)) else frozenset(value)
