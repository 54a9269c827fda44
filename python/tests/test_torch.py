"""The data set with PyTorch's own loader, where PyTorch is installed."""

from __future__ import annotations

import os
from typing import Any, Dict, List

import pytest

import nodulus

if not os.environ.get("NODULUS_REQUIRE_PYTORCH"):
    pytest.importorskip("torch", reason="SKIPPED: PyTorch is not installed, so that its data set is not tested")

import torch

import nodulus.torch

# The machine may have fewer cores than workers.
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


def ids_of(regions: nodulus.torch.Regions, **arguments: Any) -> List[str]:
    loader = torch.utils.data.DataLoader(regions, batch_size=8, **arguments)
    return [roi_id for batch in loader for roi_id in batch["roi_id"]]


@pytest.mark.parametrize("n_workers", [0, 1, 3])
def test_each_sample_comes_once_with_any_number_of_workers(store: nodulus.Store, n_workers: int) -> None:
    expected = sorted(region.roi_id for region in store.regions(split="train", slices="samples"))
    orders: Dict[int, List[str]] = {}
    regions = nodulus.torch.Regions(store, split="train", seed=5, mix=2)
    assert regions.n_slices == len(expected)
    for epoch in (0, 1):
        regions.set_epoch(epoch)
        orders[epoch] = ids_of(regions, num_workers=n_workers)
        assert sorted(orders[epoch]) == expected
        again = nodulus.torch.Regions(store, split="train", seed=5, mix=2)
        again.set_epoch(epoch)
        assert ids_of(again, num_workers=n_workers) == orders[epoch]
    assert orders[0] != orders[1]


def test_workers_that_outlive_an_epoch_see_the_next(store: nodulus.Store) -> None:
    regions = nodulus.torch.Regions(store, split="train", seed=5)
    loader = torch.utils.data.DataLoader(regions, batch_size=8, num_workers=2, persistent_workers=True)
    for epoch in (0, 1, 0):
        regions.set_epoch(epoch)
        found = [roi_id for batch in loader for roi_id in batch["roi_id"]]
        fresh = nodulus.torch.Regions(store, split="train", seed=5)
        fresh.set_epoch(epoch)
        assert found == ids_of(fresh, num_workers=2)


def test_processes_share_an_epoch(store: nodulus.Store) -> None:
    expected = sorted(region.roi_id for region in store.regions(split="train", slices="samples"))
    found = [nodulus.torch.Regions(store, split="train", seed=5, rank=rank, world_size=2) for rank in (0, 1)]
    assert sorted(sum((ids_of(regions, num_workers=2) for regions in found), [])) == expected
    with pytest.raises(ValueError, match="rank 2 of 2"):
        nodulus.torch.Regions(store, rank=2, world_size=2)


def test_items_are_the_regions(store: nodulus.Store) -> None:
    of_id = {region.roi_id: region for region in store.regions()}
    for batch in torch.utils.data.DataLoader(nodulus.torch.Regions(store, slices="all"), batch_size=4):
        n = len(batch["roi_id"])
        assert batch["image"].shape == batch["mask"].shape == batch["ignored"].shape == (n, 1, 64, 64)
        assert (batch["image"].dtype, batch["mask"].dtype, batch["ignored"].dtype) == (torch.float32, torch.float32, torch.bool)
        for row, roi_id in enumerate(batch["roi_id"]):
            region = of_id.pop(roi_id)
            assert batch["image"][row, 0].numpy().tobytes() == region.normalised().tobytes()
            assert (batch["mask"][row, 0].numpy() == region.target()).all()
            assert (batch["ignored"][row, 0].numpy() == region.ignored()).all()
    assert of_id == {}
    shapes = nodulus.torch.Regions(store, split="test", transform=lambda region: region.hu.shape)
    assert set(shapes) == {(64, 64)}
