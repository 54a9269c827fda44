"""Regions for PyTorch."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, Optional

from ._regions import Region, Slices, read_group, row_groups
from ._schedule import Schedule
from ._store import Folds, Names, Store
from .errors import load

# With the advice to install it, where it is missing.
load("torch", "torch")

import torch
from torch.utils.data import IterableDataset, get_worker_info

Item = Dict[str, Any]


def to_item(region: Region) -> Item:
    """A slice as tensors, which PyTorch's own `collate_fn` makes batches of.

    `image` is float32 `[1, j, i]`, 0 to 1 by the window; `mask` is float32 `[1, j, i]`, 1 in what is learnt as nodule
    (`Region.target`); `ignored` is bool `[1, j, i]`, pixels that should have no part in the loss. `roi_id`, `nodule_id`,
    `patient_id` and `cohort` are texts.
    """
    return {
        "image": torch.from_numpy(region.normalised())[None],
        "mask": torch.from_numpy(region.target()).to(torch.float32)[None],
        "ignored": torch.from_numpy(region.ignored())[None],
        "roi_id": region.roi_id,
        "nodule_id": region.nodule_id,
        "patient_id": region.patient_id,
        "cohort": region.cohort,
    }


class Regions(IterableDataset[Any]):
    """The slices of a store's regions, streamed for learning.

        regions = nodulus.torch.Regions(store, split="train", seed=1)
        loader = torch.utils.data.DataLoader(regions, batch_size=32, num_workers=4)
        for epoch in range(20):
            regions.set_epoch(epoch)
            for batch in loader:
                ...

    Each slice comes once in an epoch, with any number of workers. The order is the same for the same seed, epoch and number of
    workers, and another in each epoch. A worker holds `mix` row groups of up to 128 slices in memory. The data set keeps the version
    of the tables that was current when it was made.

    Args:
        store: the store.
        split, fold, patient, cohort: as in `Store.regions`.
        slices: `"samples"`, those that `balance` chose for learning, or `"all"`.
        shuffle: whether to shuffle; without it, slices come in the order of the table, dealt out to workers by row group.
        seed: seed of the order.
        mix: number of row groups whose slices are shuffled together; more mixes patients better and takes more memory.
        transform: makes an item of a `Region`; `to_item` by default. Workers that are spawned need it to be picklable.
        rank, world_size: number of this process and of all processes, where several learn together. Processes have about
            as many slices each, not exactly.

    Raises:
        As `Store.regions`, and ValueError for a number out of its range.
    """

    def __init__(
        self,
        store: Store,
        *,
        split: Names = None,
        fold: Folds = None,
        patient: Names = None,
        cohort: Names = None,
        slices: Slices = "samples",
        shuffle: bool = True,
        seed: int = 0,
        mix: int = 4,
        transform: Optional[Callable[[Region], Any]] = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if not 0 <= rank < world_size:
            raise ValueError(f"rank {rank} of {world_size} processes, expected 0 to {world_size - 1}")
        self._rois, self._selection = store._selection(split, patient, fold, cohort, slices)
        self._schedule = Schedule(list(row_groups(self._rois, self._selection)), shuffle=shuffle, seed=seed, mix=mix)
        self._transform = transform if transform is not None else to_item
        self._rank = rank
        self._world_size = world_size
        # Shared with workers, so that those that outlive an epoch see the next one's number.
        self._epoch: Any = torch.zeros(1, dtype=torch.int64)
        self._epoch.share_memory_()

    @property
    def n_slices(self) -> int:
        """Number of slices in an epoch, of all workers and processes."""
        return len(self._schedule)

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch, which decides the order. Call it before each epoch, as for PyTorch's `DistributedSampler`."""
        self._epoch[0] = epoch

    def __iter__(self) -> Iterator[Any]:
        """The slices of this worker.

        Raises:
            DamagedError: a file is missing or damaged, or a run has made a new version since.
        """
        info = get_worker_info()
        worker, n_workers = (0, 1) if info is None else (info.id, info.num_workers)
        worker += self._rank * n_workers
        n_workers *= self._world_size
        epoch = int(self._epoch[0])
        for batch, groups in enumerate(self._schedule.batches(epoch, worker, n_workers)):
            slices = [region for group in groups for region in read_group(self._rois, group, self._selection)]
            for n in self._schedule.order(len(slices), epoch, worker, batch):
                yield self._transform(slices[n])
