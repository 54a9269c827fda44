"""Writes `tensorboard_events.bin` as TensorBoard's own writer does, and the epochs that it is of as JSON.

Needs the package tensorboard (2.21.0 wrote the files); `tensorboard_events.py FILE` prints what TensorBoard reads of a file.
"""

import io
import json
import pathlib
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

SCALARS = [
    "loss",
    "loss_segmentation",
    "loss_classification",
    "dice",
    "iou",
    "validation_dice",
    "learning_rate",
    "seconds",
    "samples_per_second",
]


def read(path):
    events = EventAccumulator(str(path), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [(e.step, e.wall_time, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def row(n):
    """An epoch; the first has no Dice, every third no validation, and half have no classifier."""
    return {
        "run_id": "0123456789abcdef",
        "phase": "pretrain" if n < 100 else "finetune",
        "epoch": n if n < 100 else n - 99,
        "fold": None,
        "learning_rate": 1e-3 * 0.97**n,
        "loss": 2.0 / n,
        "loss_segmentation": 1.5 / n,
        "loss_classification": 0.5 / n if n % 2 else None,
        "dice": 1 - 1 / n if n > 1 else None,
        "iou": (1 - 1 / n) / (1 + 1 / n) if n > 1 else None,
        "validation_dice": 0.9 - 0.7 / n if n % 3 else None,
        "collapsed": False,
        "n_samples": 30,
        "seconds": 12.5 + n / 7,
        "samples_per_second": 30 / (12.5 + n / 7),
    }


def main():
    begun = 1790000000.25
    epochs = [{"wall_time": begun + 13.1 * n, "row": row(n)} for n in range(1, 131)]
    out = io.BytesIO()
    writer = RecordWriter(out)
    writer.write(Event(wall_time=begun, file_version="brain.Event:2").SerializeToString())
    for step, epoch in enumerate(epochs, start=1):
        values = [(tag, epoch["row"][tag]) for tag in SCALARS]
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in values if value is not None]
        event = Event(wall_time=epoch["wall_time"], step=step, summary=Summary(value=values))
        writer.write(event.SerializeToString())
    folder = pathlib.Path(__file__).parent
    path = folder / "tensorboard_events.bin"
    path.write_bytes(out.getvalue())
    (folder / "tensorboard_events.json").write_text(json.dumps({"begun": begun, "epochs": epochs}) + "\n")
    # TensorBoard reads what it wrote.
    (folder / "events.out.tfevents.check").write_bytes(out.getvalue())
    found = read(folder / "events.out.tfevents.check")
    (folder / "events.out.tfevents.check").unlink()
    assert [step for step, _, _ in found["loss"]] == list(range(1, 131))
    assert [step for step, _, _ in found["validation_dice"]] == [n for n in range(1, 131) if n % 3]


if len(sys.argv) > 1:
    print(json.dumps(read(sys.argv[1]), indent=1))
else:
    main()
