"""Masks of any model as a file that `nodulus evaluate` measures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Optional, Set, Tuple, Union

from .errors import load

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Mask = NDArray[numpy.generic]

Masks = Union[Mapping[str, "Mask"], Iterable[Tuple[str, "Mask"]]]

_GROUP = 128
"""Slices of a row group, as in `rois`."""


def write_predictions(
    path: Union[str, "os.PathLike[str]"],
    masks: Masks,
    *,
    probabilities: Optional[Mapping[str, float]] = None,
) -> int:
    """Writes a model's masks as Parquet, for `nodulus evaluate PIPELINE --predictions MODEL=PATH`.

    Give every slice of a nodule's region, also those without a mask: a nodule of which a slice is missing is not measured.

    Args:
        path: the file, which replaces an earlier one once it is complete.
        masks: the mask of each slice by its `roi_id`: bool, or integers 0 and 1, `[j, i]` (row, column), of the region's size. A
            mapping, or pairs one after the other, of which 128 are in memory at a time.
        probabilities: the probability, 0 to 1, that a slice shows its nodule, by `roi_id`; none for a model without a
            classifier, and none for slices that it lacks.

    Returns:
        The number of slices.

    Raises:
        ValueError: there is no mask, a slice comes twice, a mask is no image of 0 and 1, a probability is not from 0 to 1, or is of
            a slice without a mask. Nothing is written then.
        MissingPackageError: pyarrow is not installed.
    """
    pyarrow, parquet = load("pyarrow", "arrow"), load("pyarrow.parquet", "arrow")
    schema = pyarrow.schema(
        [
            pyarrow.field("roi_id", pyarrow.string(), nullable=False),
            pyarrow.field("mask_bits", pyarrow.binary(), nullable=False),
            pyarrow.field("nodule_probability", pyarrow.float64()),
        ]
    )
    of_slice = {roi_id: _probability(roi_id, value) for roi_id, value in (probabilities or {}).items()}
    target = Path(path)
    aside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    seen: Set[str] = set()
    rows: List[Dict[str, Any]] = []
    try:
        with parquet.ParquetWriter(str(aside), schema, compression="zstd", use_dictionary=False) as writer:

            def flush() -> None:
                writer.write_table(pyarrow.Table.from_pylist(rows, schema))
                rows.clear()

            for roi_id, mask in masks.items() if isinstance(masks, Mapping) else masks:
                if roi_id in seen:
                    raise ValueError(f"slice `{roi_id}` comes twice, expected one mask of it")
                seen.add(roi_id)
                rows.append(
                    {"roi_id": roi_id, "mask_bits": _packed(roi_id, mask), "nodule_probability": of_slice.get(roi_id)}
                )
                if len(rows) == _GROUP:
                    flush()
            if rows:
                flush()
        if not seen:
            raise ValueError("there is no mask, expected one for each slice")
        without = sorted(set(of_slice) - seen)
        if without:
            raise ValueError(f"{len(without)} slices have a probability and no mask, the first is `{without[0]}`")
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)
    return len(seen)


def _packed(roi_id: str, mask: Any) -> bytes:
    """A bit for each pixel, row by row, least significant bit first, as `rois.mask_bits`."""
    np = load("numpy", "arrow")
    pixels = np.asarray(mask)
    if pixels.ndim != 2 or pixels.size == 0:
        raise ValueError(f"the mask of slice `{roi_id}` has the shape {pixels.shape}, expected [j, i]: rows and columns")
    if pixels.dtype != np.bool_:
        if not np.issubdtype(pixels.dtype, np.integer):
            raise ValueError(
                f"the mask of slice `{roi_id}` is {pixels.dtype}, expected bool or integers 0 and 1: compare probabilities with a "
                "threshold first"
            )
        others = np.unique(pixels[(pixels != 0) & (pixels != 1)])
        if others.size:
            raise ValueError(f"the mask of slice `{roi_id}` has the value {others[0]}, expected 0 and 1")
    packed: bytes = np.packbits(pixels.astype(np.bool_), axis=None, bitorder="little").tobytes()
    return packed


def _probability(roi_id: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"the probability of slice `{roi_id}` is {value}, expected a number from 0 to 1")
    return float(value)
