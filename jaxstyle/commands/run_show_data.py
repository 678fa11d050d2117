"""Shows a batch that a recipe trains on: what `jaxstyle.show_data` does."""

import argparse
import contextlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from ml_collections import FrozenConfigDict

from jaxstyle.errors import UserError
from jaxstyle.media.contact_sheet import contact_sheet, write_png
from jaxstyle.models import build_generator
from jaxstyle.models.examples import takes_noise
from jaxstyle.training.config_checks import check_config
from jaxstyle.training.config_flag import read_config
from jaxstyle.training.training_data import load_batches, open_training_data


def show_data(args: argparse.Namespace) -> None:
    """Does what `jaxstyle.show_data` is asked for."""
    _check_out(args.out, args.overwrite)
    config = read_config(args.recipe, args.settings)
    check_config(config)
    # One batch is not worth the start of worker processes; it is the same without them.
    config.data.workers = 0
    config = FrozenConfigDict(config)
    needs_content = not takes_noise(build_generator(config.generator))
    sources = open_training_data(config, needs_content=needs_content, say=print)
    with contextlib.closing(load_batches(config, sources)) as batches:
        batch = next(batches)
    for name, count in sources.frame_counts().items():
        print(f"{count} {name} images")
    print(as_table(batch))
    rows = pictures_of(batch)
    write_png(args.out, picture_of(rows))
    print(f"wrote {args.out}, from the top: {', '.join(rows)}")


def pictures_of(batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What of a batch are images, uint8 [N, S, S, 3], by name; content first."""
    names = sorted(name for name, values in batch.items() if values.ndim == 4)
    return {name: batch[name] for name in names}


def picture_of(rows: Mapping[str, np.ndarray]) -> np.ndarray:
    """One picture, uint8 [H, W, 3], with a row for each name and a column for each example."""
    examples = np.stack(list(rows.values()), axis=1)  # [N, rows, S, S, 3]
    return contact_sheet(list(examples))


def as_table(batch: Mapping[str, np.ndarray]) -> str:
    """Name, dtype, shape and range of what is in a batch, a line each."""
    lines = [("name", "dtype", "shape", "range")]
    for name, values in sorted(batch.items()):
        shape = "x".join(map(str, values.shape))
        lines.append((name, str(values.dtype), shape, f"{values.min()} to {values.max()}"))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _check_out(path: Path, overwrite: bool) -> None:
    if path.suffix.lower() != ".png":
        raise UserError(f"{path} is to be a picture; give a name that ends in .png")
    if not path.absolute().parent.is_dir():
        raise UserError(f"there is no folder {path.parent} to write {path.name} to")
    if path.exists() and not overwrite:
        raise UserError(f"{path} exists; --overwrite replaces it")
