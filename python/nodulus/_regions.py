"""Nodules' regions as numpy arrays, read one row group at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, FrozenSet, Iterable, Iterator, List, Literal, NamedTuple, Optional, Tuple

from ._table import Part, Table
from .errors import DamagedError, StoreError, load, near_or_all

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

Slices = Literal["all", "samples"]

_IDS = ("roi_id", "nodule_id", "cohort", "patient_id")
_COLUMNS = (
    *_IDS,
    "series_instance_uid",
    "slice_index",
    "height",
    "width",
    "spacing_i_mm",
    "spacing_j_mm",
    "spacing_k_mm",
    "origin_x_mm",
    "origin_y_mm",
    "origin_z_mm",
    "direction",
    "hu",
    "norm_low_hu",
    "norm_high_hu",
    "mask_bits",
    "other_mask_bits",
    "no_data_bits",
    "neighbours",
    "reader_counts",
    "n_readers",
)


@dataclass(frozen=True)
class Region:
    """A slice of a nodule's region: a row of `rois`, decoded. Images are indexed `[j, i]`: row, column."""

    roi_id: str
    nodule_id: str
    cohort: str
    patient_id: str
    series_instance_uid: str
    split: Optional[str]
    """Split of the nodule: train, validation or test; `None` where `samples` does not have it."""
    fold: Optional[int]
    """Fold of the nodule, from 0; `None` in the split test."""
    role: Optional[str]
    """Why `balance` chose the slice: `nodule` or `adjacent_empty`; `None` where it did not."""
    slice_index: int
    """Index k of the slice in the series."""
    hu: NDArray[numpy.int16]
    """Hounsfield units, int16 `[j, i]`."""
    mask: NDArray[numpy.bool_]
    """Consensus mask of the nodule, bool `[j, i]`."""
    other_mask: NDArray[numpy.bool_]
    """Mask of the scan's other nodules, bool `[j, i]`."""
    no_data: NDArray[numpy.bool_]
    """Pixels of the scan without data, such as filler past the field of view, bool `[j, i]`."""
    reader_counts: NDArray[numpy.uint8]
    """Number of readers whose masks include each pixel, uint8 `[j, i]`."""
    n_readers: int
    """Number of readers that the consensus is a share of."""
    neighbours: str
    """How other nodules are learnt: `include`, as nodule, or `ignore`, not at all."""
    window_hu: Tuple[float, float]
    """HU that normalise to 0 and to 1."""
    spacing_kji_mm: Tuple[float, float, float]
    """Distance between pixel centres along k, j and i."""
    origin_xyz_mm: Tuple[float, float, float]
    """Centre of `hu[0, 0]`, LPS."""
    direction: NDArray[numpy.float64]
    """float64 `[3, 3]`; its columns are the unit vectors of i, j and k in LPS."""

    def normalised(self) -> NDArray[numpy.float32]:
        """The image as the program gives it to its networks: float32 `[j, i]`, 0 to 1, by the window."""
        return normalise(self.hu, *self.window_hu)

    def target(self) -> NDArray[numpy.bool_]:
        """What the program's networks learn, bool `[j, i]`: the nodule, and other nodules where `neighbours` is `include`."""
        return (self.mask | self.other_mask) if self.neighbours == "include" else self.mask.copy()

    def ignored(self) -> NDArray[numpy.bool_]:
        """Pixels that have no part in the program's loss, bool `[j, i]`: those without data, and, where `neighbours` is
        `ignore`, those of other nodules alone."""
        others = self.other_mask & ~self.mask
        return (self.no_data | others) if self.neighbours == "ignore" else self.no_data.copy()


@dataclass(frozen=True)
class RegionStack:
    """A nodule's region: its slices, stacked. Arrays are indexed `[k, j, i]`: slice, row, column."""

    slices: List[Region]
    """The slices, k ascending; none is missing between the first and the last."""

    @property
    def nodule_id(self) -> str:
        """The nodule at the centre."""
        return self.slices[0].nodule_id

    @property
    def hu(self) -> NDArray[numpy.int16]:
        """Hounsfield units, int16 `[k, j, i]`."""
        hu: NDArray[numpy.int16] = self._stack("hu")
        return hu

    @property
    def mask(self) -> NDArray[numpy.bool_]:
        """Consensus mask of the nodule, bool `[k, j, i]`."""
        mask: NDArray[numpy.bool_] = self._stack("mask")
        return mask

    @property
    def other_mask(self) -> NDArray[numpy.bool_]:
        """Mask of the scan's other nodules, bool `[k, j, i]`."""
        mask: NDArray[numpy.bool_] = self._stack("other_mask")
        return mask

    def normalised(self) -> NDArray[numpy.float32]:
        """The image as the program gives it to its networks: float32 `[k, j, i]`, 0 to 1, by the window."""
        return normalise(self.hu, *self.slices[0].window_hu)

    def _stack(self, name: str) -> Any:
        return load("numpy", "arrow").stack([getattr(region, name) for region in self.slices])


def normalise(hu: NDArray[numpy.int16], low_hu: float, high_hu: float) -> NDArray[numpy.float32]:
    """HU on a window, float32 of the same shape: 0 at `low_hu` and below, 1 at `high_hu` and above, linear between.

    The bits are those of the program, for each of the 65,536 values.
    """
    np = load("numpy", "arrow")
    low, high = np.float32(low_hu), np.float32(high_hu)
    scaled = (np.asarray(hu).astype(np.float32) - low) / (high - low)
    clipped: NDArray[numpy.float32] = np.clip(scaled, np.float32(0), np.float32(1))
    return clipped


class Sample(NamedTuple):
    """What `samples` says of a slice or a nodule."""

    split: str
    fold: Optional[int]
    role: Optional[str]


class RowGroup(NamedTuple):
    """The chosen rows of a row group."""

    part: Part
    group: int
    rows: Tuple[int, ...]
    """Positions in the row group, ascending; at least one."""


@dataclass(frozen=True)
class Selection:
    """Which regions are chosen."""

    splits: Optional[FrozenSet[str]]
    patients: Optional[FrozenSet[str]]
    folds: Optional[FrozenSet[int]]
    cohorts: Optional[FrozenSet[str]]
    slices: Slices
    of_slice: Optional[Dict[str, Sample]]
    """By the slice's id; `None` without the table `samples`."""
    of_nodule: Dict[str, Sample]
    """By the nodule's id, without roles."""

    @classmethod
    def of(
        cls,
        splits: Optional[FrozenSet[str]],
        patients: Optional[FrozenSet[str]],
        folds: Optional[FrozenSet[int]],
        cohorts: Optional[FrozenSet[str]],
        slices: Slices,
        samples: Optional[Table],
    ) -> Selection:
        """With the ids of all samples in memory, some 300 bytes each."""
        of_slice: Optional[Dict[str, Sample]] = None
        of_nodule: Dict[str, Sample] = {}
        if samples is not None and samples.parts:
            of_slice = {}
            for row in samples.to_arrow(["roi_id", "nodule_id", "split", "fold", "role"]).to_pylist():
                sample = Sample(row["split"], row["fold"], row["role"])
                of_slice[row["roi_id"]] = sample
                of_nodule[row["nodule_id"]] = sample._replace(role=None)
        return cls(splits, patients, folds, cohorts, slices, of_slice, of_nodule)

    def check(self, rois: Table) -> None:
        """Refuses a value that nothing in the store has, which would choose nothing without a word."""
        found = list(self.of_nodule.values())
        _check_known("split", self.splits, {sample.split for sample in found})
        _check_known("fold", self.folds, {sample.fold for sample in found if sample.fold is not None})
        for name, wanted in (("cohort", self.cohorts), ("patient_id", self.patients)):
            if wanted is not None:
                known = rois.to_arrow([name]).column(0).unique().to_pylist()
                _check_known(name.partition("_")[0], wanted, set(known))

    def takes(self, roi_id: str, nodule_id: str, cohort: str, patient_id: str) -> bool:
        """Whether a slice is chosen."""
        if self.cohorts is not None and cohort not in self.cohorts:
            return False
        if self.patients is not None and patient_id not in self.patients:
            return False
        if self.slices == "samples" and roi_id not in (self.of_slice or {}):
            return False
        sample = self.of_nodule.get(nodule_id)
        if self.splits is not None and (sample is None or sample.split not in self.splits):
            return False
        return self.folds is None or (sample is not None and sample.fold in self.folds)


def _check_known(what: str, wanted: Optional[FrozenSet[Any]], known: Iterable[Any]) -> None:
    names = sorted(known)
    for value in sorted(wanted or (), key=str):
        if value not in names:
            raise StoreError(f"no region has the {what} `{value}`{near_or_all(str(value), map(str, names[:50]))}")


def row_groups(rois: Table, selection: Selection) -> Iterator[RowGroup]:
    """The row groups with a chosen slice, in the order of the table. Only ids are read."""
    for part in rois.parts:
        file = rois._open(part)
        try:
            for group in range(file.num_row_groups):
                ids = _read(file, rois, part, group, _IDS)
                columns = [ids.column(name).to_pylist() for name in _IDS]
                rows = tuple(n for n, row in enumerate(zip(*columns)) if selection.takes(*row))
                if rows:
                    yield RowGroup(part, group, rows)
        finally:
            file.close()


def read_group(rois: Table, chosen: RowGroup, selection: Selection) -> Iterator[Region]:
    """The chosen slices of a row group, which is in memory as long as they are taken."""
    file = rois._open(chosen.part)
    try:
        rows = _read(file, rois, chosen.part, chosen.group, _COLUMNS)
    finally:
        file.close()
    for n in chosen.rows:
        yield _region(rows.slice(n, 1).to_pylist()[0], selection)


def each_region(rois: Table, selection: Selection) -> Iterator[Region]:
    """The chosen slices in the order of the table."""
    for chosen in row_groups(rois, selection):
        yield from read_group(rois, chosen, selection)


def stacked(regions: Iterable[Region]) -> Iterator[RegionStack]:
    """The slices of each nodule together. They stand together in `rois`."""
    slices: List[Region] = []
    for region in regions:
        if slices and region.nodule_id != slices[0].nodule_id:
            yield RegionStack(slices)
            slices = []
        if slices and (region.slice_index != slices[-1].slice_index + 1 or region.hu.shape != slices[0].hu.shape):
            raise StoreError(
                f"the slices of nodule `{region.nodule_id}` in `rois` do not make one region: slice {region.slice_index} follows "
                f"slice {slices[-1].slice_index}"
            )
        slices.append(region)
    if slices:
        yield RegionStack(slices)


def _read(file: Any, rois: Table, part: Part, group: int, columns: Iterable[str]) -> Any:
    wanted = list(columns)
    rois._check_columns(wanted, file.schema_arrow.names)
    try:
        return file.read_row_group(group, columns=wanted)
    except (OSError, ValueError) as error:
        raise DamagedError(
            f"`{part.path}` of the table `{rois.name}` cannot be read: {error}; `nodulus fsck` lists what is damaged"
        ) from error


def _region(row: Dict[str, Any], selection: Selection) -> Region:
    np = load("numpy", "arrow")
    shape = (row["height"], row["width"])
    roi_id = row["roi_id"]

    def sized(name: str, n_bytes: int) -> bytes:
        found: bytes = row[name]
        if len(found) != n_bytes:
            raise DamagedError(f"region `{roi_id}`: `{name}` has {len(found)} bytes, expected {n_bytes} for {shape} pixels")
        return found

    n_pixels = shape[0] * shape[1]

    def mask(name: str) -> Any:
        packed = np.frombuffer(sized(name, (n_pixels + 7) // 8), np.uint8)
        return np.unpackbits(packed, bitorder="little", count=n_pixels).reshape(shape).astype(np.bool_)

    if row["reader_counts"]:
        counts = np.frombuffer(sized("reader_counts", n_pixels), np.uint8).reshape(shape).copy()
    else:
        counts = np.zeros(shape, np.uint8)
    in_samples = (selection.of_slice or {}).get(roi_id)
    of_nodule = selection.of_nodule.get(row["nodule_id"])
    return Region(
        roi_id=roi_id,
        nodule_id=row["nodule_id"],
        cohort=row["cohort"],
        patient_id=row["patient_id"],
        series_instance_uid=row["series_instance_uid"],
        split=of_nodule.split if of_nodule else None,
        fold=of_nodule.fold if of_nodule else None,
        role=in_samples.role if in_samples else None,
        slice_index=row["slice_index"],
        hu=np.frombuffer(sized("hu", 2 * n_pixels), "<i2").reshape(shape).astype(np.int16),
        mask=mask("mask_bits"),
        other_mask=mask("other_mask_bits"),
        no_data=mask("no_data_bits"),
        reader_counts=counts,
        n_readers=row["n_readers"],
        neighbours=row["neighbours"],
        window_hu=(row["norm_low_hu"], row["norm_high_hu"]),
        spacing_kji_mm=(row["spacing_k_mm"], row["spacing_j_mm"], row["spacing_i_mm"]),
        origin_xyz_mm=(row["origin_x_mm"], row["origin_y_mm"], row["origin_z_mm"]),
        direction=np.array(row["direction"], np.float64).reshape(3, 3),
    )
