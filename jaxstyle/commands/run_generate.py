"""Makes images and films out of noise: what `jaxstyle.generate` does."""

import argparse
import functools
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.data.augment import random_resized_crop
from jaxstyle.errors import UserError
from jaxstyle.inference.bundle import Bundle
from jaxstyle.inference.noise import blended, latent_at, latents, sample_images
from jaxstyle.inference.open_model import open_model
from jaxstyle.media.contact_sheet import contact_sheet
from jaxstyle.media.file_types import CONTAINERS, SAVE_OPTIONS
from jaxstyle.media.film import FilmWriter, Frame
from jaxstyle.media.image_writer import write_image
from jaxstyle.media.images import read_image
from jaxstyle.models.examples import takes_noise

# Samples computed together.
_BATCH = 64
# How long a film takes from one random sample to the next.
_SECONDS_TO_NEXT = 2
# Sides of the crops of --source, as a share of its shorter side.
_CROP_SCALE = (0.5, 1.0)

# What --rows and so on are where they are not given.
_GRID_OPTIONS = {"rows": 8, "columns": 8}
_FILM_OPTIONS = {**_GRID_OPTIONS, "frames": 240, "fps": Fraction(24)}
_FOLDER_OPTIONS = {"count": 64}

Change = Callable[[np.ndarray], np.ndarray]


def generate(args: argparse.Namespace) -> None:
    """Does what `jaxstyle.generate` is asked for."""
    path = Path(args.out).expanduser()
    write = _writer(args, path)
    if args.strength is not None and not args.source:
        raise UserError("--strength says how much of --source=IMAGE is replaced; name one")
    source = read_image(args.source) if args.source else None
    bundle = open_model(args.model)
    if not takes_noise(bundle.generator):
        raise UserError(
            f"{args.model} turns images into images; "
            f"run: python -m jaxstyle.stylize SOURCE SINK --model={args.model}"
        )
    if not all(jnp.isfinite(weights).all() for weights in jax.tree.leaves(bundle.parameters)):
        raise UserError(f"{args.model} holds NaN or infinite weights: its training diverged")
    write(args, path, bundle, source)


def _writer(args: argparse.Namespace, path: Path) -> Callable[..., None]:
    """The function that writes OUT, by its name; OUT is checked before anything is computed."""
    suffix = path.suffix.lower()
    if path.is_dir() or args.out.endswith(("/", os.sep)) or not suffix:
        _check_folder(args, path)
        _fill_in(args, "a folder", _FOLDER_OPTIONS)
        return _write_folder
    if suffix not in SAVE_OPTIONS and suffix not in CONTAINERS:
        known = " ".join([*SAVE_OPTIONS, *CONTAINERS])
        raise UserError(f"cannot write {suffix} files; OUT may end in {known}")
    if not path.parent.is_dir():
        raise UserError(f"there is no folder {path.parent} to write {path.name} to")
    if path.exists():
        inputs = [Path(name) for name in (args.model, args.source) if name]
        if any(used.exists() and path.samefile(used) for used in inputs):
            raise UserError(f"{path} is an input; choose another name for the result")
        if not args.overwrite:
            raise UserError(f"{path} exists; --overwrite replaces it")
    if suffix in CONTAINERS:
        _fill_in(args, "a film", _FILM_OPTIONS)
        return _write_film
    _fill_in(args, "an image", _GRID_OPTIONS)
    return _write_grid


def _fill_in(args: argparse.Namespace, kind: str, options: Mapping[str, Any]) -> None:
    """Gives `args` the options of this kind of OUT that are not there; refuses those of others."""
    for name in {**_FILM_OPTIONS, **_FOLDER_OPTIONS}:
        if getattr(args, name) is None:
            setattr(args, name, options.get(name))
        elif name not in options:
            known = ", ".join(f"--{option}" for option in options)
            raise UserError(f"--{name} is not for {kind}, which takes {known}")


def _check_folder(args: argparse.Namespace, path: Path) -> None:
    if path.is_dir():
        if any(path.iterdir()) and not args.overwrite:
            raise UserError(f"{path} is not empty; --overwrite replaces files of the same names")
    elif path.exists():
        raise UserError(f"{path} is a file, not a folder; give OUT an extension")
    elif path.name == args.out:
        raise UserError(f"{args.out} has no extension; a new folder is written {args.out}/")


def _write_grid(
    args: argparse.Namespace, path: Path, bundle: Bundle, source: np.ndarray | None
) -> None:
    count = args.rows * args.columns
    images = _sampler(bundle)(latents(args.seed, 0, count, bundle.generator.latent))
    images = _mixer(args, bundle, source, range(count))(images)
    write_image(path, _grid(args, images), comment=_comment(args, bundle))
    print(f"{args.rows} x {args.columns} samples in {path}", file=sys.stderr)


def _write_film(
    args: argparse.Namespace, path: Path, bundle: Bundle, source: np.ndarray | None
) -> None:
    count, size = args.rows * args.columns, bundle.generator.latent
    # A closed walk needs two stops to move at all.
    stop_count = max(2, round(args.frames / args.fps / _SECONDS_TO_NEXT))
    stops = latents(args.seed, 0, stop_count * count, size).reshape(stop_count, count, size)
    sample, mix = _sampler(bundle), _mixer(args, bundle, source, range(count))
    with FilmWriter(
        path, time_base=1 / args.fps, rate=args.fps, comment=_comment(args, bundle)
    ) as film:
        for i in range(args.frames):
            images = mix(sample(latent_at(stops, i * stop_count / args.frames)))
            film.write(Frame(_grid(args, images), pts=i, duration=1))
        film.finish()
    print(f"{args.frames} frames in {path}", file=sys.stderr)


def _write_folder(
    args: argparse.Namespace, path: Path, bundle: Bundle, source: np.ndarray | None
) -> None:
    sample, size = _sampler(bundle), min(_BATCH, args.count)
    for first in range(0, args.count, size):
        images = sample(latents(args.seed, first, size, bundle.generator.latent))
        numbers = range(first, min(first + size, args.count))
        images = _mixer(args, bundle, source, numbers)(images[: len(numbers)])
        for number, image in zip(numbers, images, strict=True):
            name = f"sample_{number:05d}.png"
            write_image(path / name, image, comment=_comment(args, bundle))
    print(f"{args.count} images in {path}", file=sys.stderr)


def _grid(args: argparse.Namespace, images: np.ndarray) -> np.ndarray:
    """Row by row, as one reads."""
    return contact_sheet([images[column :: args.columns] for column in range(args.columns)])


def _comment(args: argparse.Namespace, bundle: Bundle) -> str:
    """What marks the result as synthetic, in its metadata."""
    return f"Generated with jaxstyle, model {bundle.metadata['name']}, seed {args.seed}"


def _sampler(bundle: Bundle) -> Change:
    """A function from latents [N, latent] to images [N, S, S, 3] that compiles one batch size.

    The last batch is filled up from the first latents. So none is small, either: without standing
    statistics, samples depend on their batch.
    """
    compiled = jax.jit(functools.partial(sample_images, bundle.generator))

    def sample(z: np.ndarray) -> np.ndarray:
        size = min(_BATCH, len(z))
        numbers = (range(first, first + size) for first in range(0, len(z), size))
        batches = [np.take(z, batch, axis=0, mode="wrap") for batch in numbers]
        images = [compiled(bundle.parameters, batch, bundle.statistics) for batch in batches]
        return np.concatenate([np.asarray(batch) for batch in images])[: len(z)]

    return sample


def _mixer(
    args: argparse.Namespace, bundle: Bundle, source: np.ndarray | None, numbers: Iterable[int]
) -> Change:
    """A function that mixes the samples of these numbers with crops of the source, if there is one.

    Which crop belongs to a sample depends on the seed and its number alone, as the sample does.
    """
    if source is None:
        return lambda samples: samples
    crops = [
        random_resized_crop(
            source,
            bundle.generator.image_size,
            _CROP_SCALE,
            np.random.default_rng([args.seed, number]),
        )
        for number in numbers
    ]
    strength = 0.5 if args.strength is None else args.strength
    return lambda samples: blended(samples, np.stack(crops), strength)
