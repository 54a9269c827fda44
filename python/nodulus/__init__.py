"""Reads nodulus' stores, and runs the program that makes them.

    import nodulus

    store = nodulus.open("store/demo")
    nodules = store["nodules"].to_pandas()
    for region in store.regions(split="train", slices="samples"):
        image, mask = region.normalised(), region.mask

`nodulus.torch.Regions` gives regions to PyTorch, and `nodulus.write_predictions` brings back the masks of any model, which
`nodulus evaluate` measures. `nodulus.run` and `nodulus.score` run the program.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as _version

from ._predictions import write_predictions
from ._program import program
from ._regions import Region, RegionStack, normalise
from ._run import Summary, run, score
from ._store import Store, open
from ._table import Table
from .errors import (
    DamagedError,
    MissingPackageError,
    NodulusError,
    OutdatedWarning,
    ProgramNotFoundError,
    RunError,
    StoreError,
    UnknownTableError,
)

try:
    __version__ = _version("nodulus")
except PackageNotFoundError:
    # Imported from the source tree, without being installed.
    __version__ = "0"

__all__ = [
    "DamagedError",
    "MissingPackageError",
    "NodulusError",
    "OutdatedWarning",
    "ProgramNotFoundError",
    "Region",
    "RegionStack",
    "RunError",
    "Store",
    "StoreError",
    "Summary",
    "Table",
    "UnknownTableError",
    "__version__",
    "normalise",
    "open",
    "program",
    "run",
    "score",
    "write_predictions",
]
