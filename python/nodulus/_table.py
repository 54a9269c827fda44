"""A table of a store, for pyarrow, polars and pandas."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, List, NamedTuple, Optional, Sequence

from .errors import DamagedError, OutdatedWarning, StoreError, load, near_or_all

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow
    import pyarrow.dataset


class Part(NamedTuple):
    """A file of a table, as the store's record has it."""

    path: Path
    rows: Optional[int]
    """Number of rows; `None` in a table with a folder for each day."""
    bytes: Optional[int]
    """Size; `None` in a table with a folder for each day."""
    sha256: Optional[str]
    """SHA-256 of the file; `None` where an earlier program recorded none."""


class Table:
    """A table of a store, at the version that was current when it was opened.

    Nothing is read before it is asked for. The size of every file is compared with the store's record when the table is opened, and
    the number of rows and the checksum of each page when pyarrow or pandas reads them. polars compares neither: `verify` does.

    Attributes:
        name: name of the table.
        version: key of the version; `None` for a table with a folder for each day.
        parts: the files in the order of their rows.
        partition: the column that is in the folders' names and not in the files, or `None`.
        outdated: tables of which another version is current than the one that this table goes back to.
    """

    def __init__(
        self,
        name: str,
        version: Optional[str],
        parts: Sequence[Part],
        partition: Optional[str],
        outdated: Sequence[str],
    ) -> None:
        self.name = name
        self.version = version
        self.parts = list(parts)
        self.partition = partition
        self.outdated = list(outdated)
        for part in self.parts:
            _check_size(name, part)

    def __repr__(self) -> str:
        rows = self._rows_of_record()
        return f"<nodulus.Table {self.name}: {'' if rows is None else f'{rows} rows in '}{len(self.parts)} files>"

    def __len__(self) -> int:
        """Number of rows. A table with a folder for each day needs pyarrow to count them."""
        rows = self._rows_of_record()
        return rows if rows is not None else int(self.dataset().count_rows())

    def _rows_of_record(self) -> Optional[int]:
        rows = [part.rows for part in self.parts]
        return None if any(n is None for n in rows) else sum(n or 0 for n in rows)

    @property
    def files(self) -> List[Path]:
        """The Parquet files, in the order of their rows."""
        return [part.path for part in self.parts]

    def dataset(self) -> "pyarrow.dataset.Dataset":
        """The table as a data set of pyarrow, which reads only the columns and row groups that a scan needs.

        Raises:
            MissingPackageError: pyarrow is not installed.
            DamagedError: a file has another number of rows than the store's record says, or is no Parquet.
            StoreError: the table has no files.
        """
        arrow, dataset = load("pyarrow", "arrow"), load("pyarrow.dataset", "arrow")
        self._prepare()
        options = dataset.ParquetFragmentScanOptions(page_checksum_verification=True)
        layout = None
        if self.partition is not None:
            # Days stay text, as in the names of the folders.
            layout = dataset.partitioning(arrow.schema([(self.partition, arrow.string())]), flavor="hive")
        for part in self.parts:
            self._open(part).close()
        found: pyarrow.dataset.Dataset = dataset.dataset(
            [str(part.path) for part in self.parts],
            format=dataset.ParquetFileFormat(default_fragment_scan_options=options),
            partitioning=layout,
        )
        return found

    def to_arrow(self, columns: Optional[Sequence[str]] = None) -> "pyarrow.Table":
        """The rows as a table of pyarrow, all columns or the named ones.

        Raises:
            As `dataset`, and StoreError for an unknown column or a file that cannot be read.
        """
        dataset = self.dataset()
        if columns is not None:
            self._check_columns(columns, dataset.schema.names)
        try:
            return dataset.to_table(columns=None if columns is None else list(columns))
        except (OSError, ValueError) as error:
            raise DamagedError(f"`{self.name}` cannot be read: {error}; {_ADVICE}") from error

    def scan(self) -> "polars.LazyFrame":
        """The table as a lazy frame of polars.

        Raises:
            MissingPackageError: polars is not installed.
            StoreError: the table has no files.
        """
        package = load("polars", "polars")
        self._prepare()
        files = [str(part.path) for part in self.parts]
        if self.partition is None:
            frame: polars.LazyFrame = package.scan_parquet(files, hive_partitioning=False, glob=False)
        else:
            schema = {self.partition: package.String}
            frame = package.scan_parquet(files, hive_partitioning=True, hive_schema=schema, glob=False)
        return frame

    def to_polars(self, columns: Optional[Sequence[str]] = None) -> "polars.DataFrame":
        """The rows as a frame of polars, all columns or the named ones.

        Raises:
            As `scan`, and StoreError for an unknown column.
        """
        frame = self.scan()
        if columns is not None:
            self._check_columns(columns, frame.collect_schema().names())
            frame = frame.select(list(columns))
        return frame.collect()

    def to_pandas(self, columns: Optional[Sequence[str]] = None) -> "pandas.DataFrame":
        """The rows as a frame of pandas, all columns or the named ones.

        Raises:
            As `to_arrow`.
        """
        load("pandas", "pandas")
        load("pyarrow", "pandas")
        return self.to_arrow(columns).to_pandas()

    def verify(self) -> int:
        """Compares the SHA-256 of every file with the store's record; returns the number of files. It reads all of them.

        Raises:
            DamagedError: a file is missing, or of other bytes.
        """
        for part in self.parts:
            _check_size(self.name, part)
            digest = hashlib.sha256()
            with part.path.open("rb") as file:
                for block in iter(lambda: file.read(1 << 20), b""):
                    digest.update(block)
            if part.sha256 is not None and digest.hexdigest() != part.sha256:
                raise _damaged(self.name, part.path, "is not what was written: its SHA-256 is another one")
        return len(self.parts)

    def _prepare(self) -> None:
        if not self.parts:
            raise StoreError(f"the table `{self.name}` has no files, so its columns are not known: it was made from no cases")
        if self.outdated:
            older = ", ".join(f"`{name}`" for name in self.outdated)
            text = f"`{self.name}` was made from earlier versions of {older}; `nodulus run` makes it anew"
            warnings.warn(text, OutdatedWarning, stacklevel=3)

    def _open(self, part: Part) -> Any:
        """A file as pyarrow's `ParquetFile`, whose number of rows is as recorded."""
        parquet = load("pyarrow.parquet", "arrow")
        _check_size(self.name, part)
        try:
            file = parquet.ParquetFile(str(part.path), page_checksum_verification=True)
        except (OSError, ValueError) as error:
            raise _damaged(self.name, part.path, f"is no Parquet ({error})") from error
        found = file.metadata.num_rows
        if part.rows is not None and found != part.rows:
            file.close()
            raise _damaged(self.name, part.path, f"has {found} rows, expected {part.rows}")
        return file

    def _check_columns(self, columns: Sequence[str], existing: Sequence[str]) -> None:
        for column in columns:
            if column not in existing:
                raise StoreError(f"the table `{self.name}` has no column `{column}`{near_or_all(column, existing)}")


_ADVICE = "`nodulus fsck` lists what is damaged, and `--repair` sets it aside to be made again"


def _damaged(table: str, path: Path, fault: str) -> DamagedError:
    return DamagedError(f"`{path}` of the table `{table}` {fault}; {_ADVICE}")


def _check_size(table: str, part: Part) -> None:
    try:
        found = part.path.stat().st_size
    except FileNotFoundError as error:
        text = f"`{part.path}` of the table `{table}` is missing: a run has made a new version since, so open the store again, or {_ADVICE}"
        raise DamagedError(text) from error
    except OSError as error:
        raise StoreError(f"`{part.path}` of the table `{table}` cannot be read: {error.strerror}") from error
    if part.bytes is not None and found != part.bytes:
        raise _damaged(table, part.path, f"has {found} bytes, expected {part.bytes}")
