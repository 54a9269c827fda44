# %% [markdown]
# # A PyTorch U-Net on nodulus' regions, measured beside nodulus' own network
#
# From a store of regions to a trained U-Net, and from its masks to the rows of `summary` that nodulus' own network has: the same
# nodules, the same code for every metric. Run it as a script from the repository's folder, or cell by cell in a notebook. It
# needs the package with PyTorch and pandas, `pip install './python[torch,pandas]'`; on two cores the demo takes a few minutes.

# %%
import importlib.util
import os
import sys

PIPELINE = os.environ.get("EXAMPLE_PIPELINE", "pipelines/demo.toml")
COHORT = os.environ.get("EXAMPLE_COHORT", "clinical")
EPOCHS = int(os.environ.get("EXAMPLE_EPOCHS", "6"))
PREDICTIONS = os.environ.get("EXAMPLE_PREDICTIONS", "out/unet.parquet")

if importlib.util.find_spec("torch") is None:
    print("SKIPPED: this example learns with PyTorch, which is not installed: pip install './python[torch,pandas]'")
    sys.exit(0)

# %% [markdown]
# ## The store
#
# `nodulus.run` makes what is missing: the demo's synthetic scans, their regions, the split of the patients, nodulus' own
# network. Of a store that is up to date it makes nothing anew.

# %%
from pathlib import Path

import numpy
import torch

import nodulus
import nodulus.torch

summary = nodulus.run(PIPELINE, last="infer")
store = nodulus.open(summary["store"])
print(store["samples"].to_pandas(["cohort", "split", "role"]).value_counts().sort_index())

# %% [markdown]
# ## The network
#
# A small U-Net: four sizes of image, 16 channels at the largest.


# %%
class UNet(torch.nn.Module):
    """Logits `[n, 1, j, i]` of images `[n, 1, j, i]` whose sides are multiples of 8."""

    def __init__(self, width: int = 16, depth: int = 4) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth)]
        self.down = torch.nn.ModuleList(block(a, b) for a, b in zip([1, *widths], widths))
        up = list(zip(widths[::-1], widths[-2::-1]))
        self.larger = torch.nn.ModuleList(torch.nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in up)
        self.up = torch.nn.ModuleList(block(2 * b, b) for _, b in up)
        self.last = torch.nn.Conv2d(width, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = []
        for level, down in enumerate(self.down):
            x = down(x if level == 0 else torch.nn.functional.max_pool2d(x, 2))
            kept.append(x)
        for larger, up, skip in zip(self.larger, self.up, kept[-2::-1]):
            x = up(torch.cat([skip, larger(x)], 1))
        return self.last(x)


def block(n_in: int, n_out: int) -> torch.nn.Sequential:
    layers = []
    for n in (n_in, n_out):
        layers += [torch.nn.Conv2d(n, n_out, 3, padding=1), torch.nn.BatchNorm2d(n_out), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers)


def loss_of(logits: torch.Tensor, mask: torch.Tensor, ignored: torch.Tensor) -> torch.Tensor:
    """Cross-entropy and soft Dice over the pixels that are not ignored."""
    weight = (~ignored).to(torch.float32)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, mask, weight)
    probability = torch.sigmoid(logits) * weight
    overlap = 2 * (probability * mask).sum() + 1
    return entropy + 1 - overlap / (probability.sum() + (mask * weight).sum() + 1)


# %% [markdown]
# ## Learn from the split `train`
#
# The patients of the split `test` are in none of these slices; nodulus cannot check that of a model that it did not train,
# and says so in the column `doubts`.

# %%
torch.manual_seed(1)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
network = UNet().to(device)
optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
regions = nodulus.torch.Regions(store, split="train", seed=1)
loader = torch.utils.data.DataLoader(regions, batch_size=16)
for epoch in range(EPOCHS):
    regions.set_epoch(epoch)
    network.train()
    total, n_batches = 0.0, 0
    for batch in loader:
        image, mask, ignored = (batch[name].to(device) for name in ("image", "mask", "ignored"))
        loss = loss_of(network(image), mask, ignored)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        total, n_batches = total + loss.item(), n_batches + 1
    print(f"epoch {epoch + 1}/{EPOCHS}: loss {total / n_batches:.4f} over {regions.n_slices} slices")


# %% [markdown]
# ## Predict the split `test`
#
# Every slice of a nodule's region is predicted, also those that `balance` did not choose. A mask is a bool array of the
# slice's size, by the slice's `roi_id`.

# %%
network.eval()
masks = {}
with torch.no_grad():
    for stack in store.stacks(cohort=COHORT, split="test"):
        images = torch.from_numpy(stack.normalised())[:, None].to(device)
        marked = torch.sigmoid(network(images))[:, 0].cpu().numpy() >= numpy.float32(0.5)
        for region, mask in zip(stack.slices, marked):
            masks[region.roi_id] = mask
Path(PREDICTIONS).parent.mkdir(parents=True, exist_ok=True)
print(nodulus.write_predictions(PREDICTIONS, masks), "slices in", PREDICTIONS)

# %% [markdown]
# ## Measure it beside nodulus' network
#
# As `nodulus evaluate PIPELINE --predictions unet=FILE` does. To keep the model in every run, put it into the pipeline file:
#
# ```toml
# [[evaluate.predictions]]
# model = "unet"
# path = "out/unet.parquet"
# ```

# %%
evaluated = nodulus.run(PIPELINE, first="evaluate", set={"evaluate.predictions": [{"model": "unet", "path": PREDICTIONS}]})
for warning in evaluated["warnings"]:
    print("warning:", warning)
rows = nodulus.open(summary["store"])["summary"].to_pandas(["model_id", "metric", "subgroup", "mean", "n_valid", "n_total", "n_missed"])
shown = rows[(rows["subgroup"] == "all") & rows["metric"].isin(["dice", "hausdorff_95_mm", "assd_mm", "slice_dice"])]
print(shown.drop(columns="subgroup").sort_values(["metric", "model_id"]).to_string(index=False))
