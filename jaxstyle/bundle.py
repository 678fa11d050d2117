"""A bundle: the one `.safetensors` file that inference loads.

It holds the averaged generator's parameters as tensors named by their path
("block_0/Conv_0/kernel"), and JSON metadata: the generator's config, what it was trained on, and
its figures.
Nothing in it is executed when it is read.
"""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from jaxstyle.errors import UserError
from jaxstyle.models import build_generator

FORMAT = "jaxstyle-bundle-1"


@dataclasses.dataclass(frozen=True)
class Bundle:
    """A generator ready to run.

    generator: the Flax module. parameters: its nested dict of float32 arrays, as in
    `generator.apply({"params": parameters}, x)`. metadata: "generator" (its config),
    "name", "step", "config" (of the training), "licence", "figures", as far as known.
    """

    generator: nn.Module
    parameters: Any
    metadata: dict[str, Any]


def save_bundle(path: str | os.PathLike, parameters: Any, metadata: dict[str, Any]) -> None:
    """Writes a bundle, atomically. `metadata["generator"]` must be the generator's config.

    parameters: a nested dict of arrays. Raises `UserError` if the parameters are not those of
    the generator that the metadata describe.
    """
    path = Path(path)
    flat = {
        name: np.ascontiguousarray(value)
        for name, value in flax.traverse_util.flatten_dict(parameters, sep="/").items()
    }
    _check_shapes(path, build_generator(metadata["generator"]), flat)
    text = {"format": FORMAT, "jaxstyle": json.dumps(metadata, sort_keys=True)}
    beside = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        beside.write_bytes(save(flat, metadata=text))
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def load_bundle(path: str | os.PathLike) -> Bundle:
    """Reads a bundle. Raises `UserError` if there is none, or it is broken or of another kind."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no model at {path}; training writes one as WORKDIR/model.safetensors")
    try:
        with safe_open(path, framework="numpy") as file:
            text = file.metadata() or {}
            if text.get("format") != FORMAT:
                raise UserError(f"{path} is not a jaxstyle bundle of format {FORMAT}")
            flat = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a readable .safetensors file: {error}") from error
    try:
        metadata = json.loads(text["jaxstyle"])
        generator = build_generator(metadata["generator"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} has unreadable metadata: {error!r}") from error
    _check_shapes(path, generator, flat)
    parameters = flax.traverse_util.unflatten_dict(flat, sep="/")
    parameters = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), parameters)
    return Bundle(generator, parameters, metadata)


def _check_shapes(path: Path, generator: nn.Module, flat: dict[str, np.ndarray]) -> None:
    example = jnp.zeros((1, 16 * generator.stride, 16 * generator.stride, 3))
    shapes = jax.eval_shape(generator.init, jax.random.key(0), example)["params"]
    wanted = {k: v.shape for k, v in flax.traverse_util.flatten_dict(shapes, sep="/").items()}
    found = {k: v.shape for k, v in flat.items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise UserError(
                f"{path} does not fit its generator: {name} is {found.get(name, 'missing')}, "
                f"should be {wanted.get(name, 'absent')}"
            )
