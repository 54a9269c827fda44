"""In which order slices are learnt from, and by which worker: the same for a seed, each slice once."""

from __future__ import annotations

import random
from typing import Iterator, List, Sequence

from ._regions import RowGroup


class Schedule:
    """Deals the row groups of a selection out to workers, anew for each epoch.

    A seed and an epoch decide the order of the row groups; worker w of n takes each n-th, from the w-th on. Each slice is thus
    taken once in an epoch, whatever the number of workers. A worker holds `mix` row groups in memory and shuffles their slices
    together.

    Attributes:
        groups: the row groups, in the order of the table.
        shuffle: whether the order is shuffled; without it, it is that of the table, dealt out in the same way.
        seed: seed of the order.
        mix: number of row groups that are in memory together, at least 1.
    """

    def __init__(self, groups: Sequence[RowGroup], *, shuffle: bool, seed: int, mix: int) -> None:
        if mix < 1:
            raise ValueError(f"mix is {mix}, expected at least 1 row group")
        self.groups = list(groups)
        self.shuffle = shuffle
        self.seed = seed
        self.mix = mix

    def __len__(self) -> int:
        """Number of slices in an epoch, of all workers."""
        return sum(len(group.rows) for group in self.groups)

    def batches(self, epoch: int, worker: int, n_workers: int) -> Iterator[List[RowGroup]]:
        """The row groups of a worker in an epoch, in lists of those that are in memory together.

        Raises:
            ValueError: there is no worker of this number.
        """
        if not 0 <= worker < n_workers:
            raise ValueError(f"worker {worker} of {n_workers}, expected 0 to {n_workers - 1}")
        order = list(range(len(self.groups)))
        if self.shuffle:
            # A text as seed, because Python seeds by its bytes, the same on every machine.
            random.Random(f"{self.seed}/{epoch}").shuffle(order)
        own = [self.groups[n] for n in order[worker::n_workers]]
        for first in range(0, len(own), self.mix):
            yield own[first : first + self.mix]

    def order(self, n: int, epoch: int, worker: int, batch: int) -> List[int]:
        """The order of the `n` slices of one list of row groups of a worker."""
        order = list(range(n))
        if self.shuffle:
            random.Random(f"{self.seed}/{epoch}/{worker}/{batch}").shuffle(order)
        return order
