"""A bundle: the one `.safetensors` file that inference loads.

It holds the averaged generator's parameters as tensors named by their path
("block_0/Conv_0/kernel"), and JSON metadata: the generator's config, what it was trained on, and
its figures. Where there are any, also the standing statistics of the generator's batch norms
("statistics/...") and the discriminator that it was trained against ("discriminator/params/...",
"discriminator/batch_stats/..."), which judges what comes out.
Nothing in it is executed when it is read.
"""

import dataclasses
import functools
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
from jaxstyle.files.atomic_file import make_folder, write_whole
from jaxstyle.models import build_discriminator, build_generator
from jaxstyle.models.examples import init_variables, takes_noise

FORMAT = "jaxstyle-bundle-1"

_STATISTICS, _DISCRIMINATOR = "statistics", "discriminator"
# Of the image that a discriminator without a size of its own is tried with: enough for any depth.
_JUDGED_SIZE = 256


@dataclasses.dataclass(frozen=True)
class Judge:
    """The discriminator that the generator was trained against.

    module: the Flax module. variables: {"params": ..., "batch_stats": ...} (the latter {} for
    many), for `module.apply(variables, x)`. conditional: it sees the content beside the result,
    as x float [N, H, W, 6]; otherwise x is the result alone, [N, H, W, 3].
    """

    module: nn.Module
    variables: dict[str, Any]
    conditional: bool = False


@dataclasses.dataclass(frozen=True)
class Bundle:
    """A generator ready to run.

    generator: the Flax module. parameters: its nested dict of float32 arrays, as in
    `generator.apply({"params": parameters}, x)`. metadata: "generator" (its config),
    "name" (after the file where the bundle has none), and as far as known "step", "config" (of the
    training), "licence", "figures", "styles" (the names of a multi-style generator's styles),
    "description" and "credits" (those of a style that ships). statistics: of the generator's batch
    norms, a nested dict for the collection "batch_stats", {} for most. discriminator: if it was
    kept.
    """

    generator: nn.Module
    parameters: Any
    metadata: dict[str, Any]
    statistics: Any = dataclasses.field(default_factory=dict)
    discriminator: Judge | None = None


def save_bundle(
    path: str | os.PathLike,
    parameters: Any,
    metadata: dict[str, Any],
    *,
    statistics: Any = None,
    discriminator: dict[str, Any] | None = None,
    dtype: np.typing.DTypeLike | None = None,
) -> None:
    """Writes a bundle, atomically. `metadata["generator"]` must be the generator's config.

    parameters, statistics: nested dicts of arrays. discriminator: its {"params", "batch_stats"};
    its config must be `metadata["discriminator"]`, and `metadata["discriminator_conditional"]`
    true if it sees content and result. dtype: what tensors are stored as (what they are);
    np.float16 halves the file and keeps three decimal digits. Raises `UserError` if the parameters
    are not those of the networks that the metadata describe, one is not finite in `dtype`, or the
    file cannot be written.
    """
    path = Path(path)
    tree = {**parameters}
    if statistics:
        tree[_STATISTICS] = statistics
    if discriminator:
        tree[_DISCRIMINATOR] = {
            kind: discriminator[kind] for kind in ("params", "batch_stats") if kind in discriminator
        }
    flat = {
        name: _stored(path, name, value, dtype)
        for name, value in flax.traverse_util.flatten_dict(tree, sep="/").items()
    }
    _check_shapes(path, *_build(metadata, flat), metadata, flat)
    text = {"format": FORMAT, "jaxstyle": json.dumps(metadata, sort_keys=True)}
    make_folder(path.parent)
    write_whole(path, _in_order(save(flat, metadata=text)))


def _in_order(content: bytes) -> bytes:
    """The safetensors file `content` with its metadata sorted.

    The library writes them in an order of chance; the same model is the same file, so that its
    checksum can be told.
    """
    tensors = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:tensors])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    # Tensors begin at a multiple of eight bytes, as the library has them.
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[tensors:]


def load_bundle(path: str | os.PathLike, name: str | None = None) -> Bundle:
    """Reads the bundle in the file at `path`.

    name: what it is called if it does not say so itself; by default the file, without its
    extension. Raises `UserError` if there is no such file, or it is broken or of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no model at {path}: there is no such file")
    text, flat = _read(path)
    try:
        metadata = json.loads(text)
        generator, module = _build(metadata, flat)
        conditional = bool(metadata.get("discriminator_conditional", False))
        wanted = _check_shapes(path, generator, module, metadata, flat)
        metadata["name"] = str(metadata.get("name") or name or path.stem)
    except UserError:
        raise
    # What a module answers fields of a wrong type with depends on where it first uses them.
    except Exception as error:
        raise UserError(f"{path} has unreadable metadata: {_in_one_line(error)}") from error
    # Not by the slashes in the names: Flax's spectral norm has some in its keys.
    tree = flax.traverse_util.unflatten_dict(
        {keys: flat["/".join(keys)] for keys in flax.traverse_util.flatten_dict(wanted)}
    )
    parameters = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), tree)
    statistics = parameters.pop(_STATISTICS, {})
    variables = parameters.pop(_DISCRIMINATOR, None)
    judge = None
    if module is not None:
        judge = Judge(module, {"batch_stats": {}, **variables}, conditional)
    return Bundle(generator, parameters, metadata, statistics, judge)


def load_metadata(path: Path) -> dict[str, Any]:
    """The metadata of the bundle at `path`, without its tensors; see `Bundle`.

    Raises `UserError` if it is not a bundle.
    """
    text, _ = _read(path, tensors=False)
    try:
        return {**json.loads(text)}
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} has unreadable metadata: {_in_one_line(error)}") from error


def _read(path: Path, *, tensors: bool = True) -> tuple[str, dict[str, np.ndarray]]:
    """The metadata of the file as JSON, and its tensors by name."""
    try:
        with safe_open(path, framework="numpy") as file:
            text = file.metadata() or {}
            if text.get("format") != FORMAT:
                raise UserError(f"{path} is not a jaxstyle bundle of format {FORMAT}")
            names = file.keys() if tensors else ()
            return text.get("jaxstyle", ""), {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:  # in terms of the format's inside
        raise UserError(
            f"{path} is not a readable .safetensors file: it is damaged, or something else than a "
            "model"
        ) from error
    # A type that NumPy does not have is any of the last three.
    except (OSError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path} is not a readable .safetensors file: {error}") from error


def _stored(path: Path, name: str, value: Any, dtype: np.typing.DTypeLike | None) -> np.ndarray:
    with np.errstate(over="ignore"):  # told below
        cast = np.asarray(np.asarray(value), dtype, order="C")
    if dtype is not None and not np.isfinite(cast).all():
        raise UserError(
            f"cannot write {path}: {name} holds values that are not finite in {cast.dtype}; "
            "store it in float32"
        )
    return cast


def _in_one_line(error: Exception) -> str:
    first, *_ = [*str(error).splitlines(), ""]
    return f"{type(error).__name__}: {first}"


def _build(
    metadata: dict[str, Any], flat: dict[str, np.ndarray]
) -> tuple[nn.Module, nn.Module | None]:
    """The generator, and the discriminator if there are tensors of one."""
    generator = build_generator(metadata["generator"])
    if not any(name.startswith(f"{_DISCRIMINATOR}/") for name in flat):
        return generator, None
    return generator, build_discriminator(metadata["discriminator"])


def _check_shapes(
    path: Path,
    generator: nn.Module,
    discriminator: nn.Module | None,
    metadata: dict[str, Any],
    flat: dict[str, np.ndarray],
) -> dict[str, Any]:
    """The tree of shapes that these tensors are; raises `UserError` if they are not."""
    size = 0 if takes_noise(generator) else 16 * generator.stride
    variables = jax.eval_shape(
        functools.partial(init_variables, generator, image_size=size), jax.random.key(0)
    )
    wanted = {**variables["params"]}
    # They may be left out: a generator works with those of its batch.
    if any(name.startswith(f"{_STATISTICS}/") for name in flat):
        wanted[_STATISTICS] = variables.get("batch_stats", {})
    if discriminator is not None:
        side = getattr(discriminator, "image_size", _JUDGED_SIZE)
        channels = 6 if metadata.get("discriminator_conditional", False) else 3
        example = jax.ShapeDtypeStruct((1, side, side, channels), jnp.float32)
        wanted[_DISCRIMINATOR] = jax.eval_shape(discriminator.init, jax.random.key(0), example)
    shapes = {k: v.shape for k, v in flax.traverse_util.flatten_dict(wanted, sep="/").items()}
    found = {k: v.shape for k, v in flat.items()}
    for name in sorted(shapes.keys() | found.keys()):
        if shapes.get(name) != found.get(name):
            raise UserError(
                f"{path} does not fit its generator: {name} is {found.get(name, 'missing')}, "
                f"should be {shapes.get(name, 'absent')}"
            )
    return wanted
