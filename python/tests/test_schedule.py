"""Each slice once in an epoch, in an order that the seed decides. No PyTorch is needed."""

from __future__ import annotations

from pathlib import Path
from typing import List, Tuple

import pytest

from nodulus._regions import RowGroup
from nodulus._schedule import Schedule
from nodulus._table import Part

PART = Part(Path("part"), None, None, None)
GROUPS = [RowGroup(PART, group, tuple(range(group % 5 + 1))) for group in range(23)]


def dealt(schedule: Schedule, epoch: int, n_workers: int) -> List[List[Tuple[int, int]]]:
    """The slices of each worker, in order, as row group and row."""
    of_workers = []
    for worker in range(n_workers):
        taken = []
        for batch, groups in enumerate(schedule.batches(epoch, worker, n_workers)):
            assert 1 <= len(groups) <= schedule.mix
            slices = [(group.group, row) for group in groups for row in group.rows]
            taken += [slices[n] for n in schedule.order(len(slices), epoch, worker, batch)]
        of_workers.append(taken)
    return of_workers


@pytest.mark.parametrize("n_workers", [1, 2, 3, 8, 40])
@pytest.mark.parametrize("shuffle", [True, False])
def test_each_slice_comes_once(n_workers: int, shuffle: bool) -> None:
    schedule = Schedule(GROUPS, shuffle=shuffle, seed=7, mix=3)
    expected = sorted((group.group, row) for group in GROUPS for row in group.rows)
    for epoch in range(4):
        found = dealt(schedule, epoch, n_workers)
        assert sorted(sum(found, [])) == expected and len(expected) == len(schedule)
        assert found == dealt(Schedule(GROUPS, shuffle=shuffle, seed=7, mix=3), epoch, n_workers)


def test_seed_and_epoch_decide_the_order() -> None:
    orders = [dealt(Schedule(GROUPS, shuffle=True, seed=seed, mix=4), epoch, 2) for seed in (0, 1) for epoch in (0, 1)]
    assert all(a != b for n, a in enumerate(orders) for b in orders[:n])
    unshuffled = [dealt(Schedule(GROUPS, shuffle=False, seed=seed, mix=4), epoch, 1) for seed in (0, 1) for epoch in (0, 1)]
    assert all(order == unshuffled[0] for order in unshuffled)
    assert unshuffled[0][0] == [(group.group, row) for group in GROUPS for row in group.rows]


def test_the_order_is_the_same_on_every_machine() -> None:
    # As it was when the schedule was written: another order would change what a seed gives.
    expected = [(0, 0), (2, 0), (2, 1), (2, 2), (3, 2), (3, 1), (1, 1), (1, 0), (3, 0), (3, 3)]
    assert dealt(Schedule(GROUPS[:4], shuffle=True, seed=1, mix=2), 0, 1) == [expected]


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="mix is 0"):
        Schedule(GROUPS, shuffle=True, seed=0, mix=0)
    with pytest.raises(ValueError, match="worker 2 of 2"):
        list(Schedule(GROUPS, shuffle=True, seed=0, mix=1).batches(0, 2, 2))
    assert list(Schedule([], shuffle=True, seed=0, mix=1).batches(0, 0, 1)) == []
