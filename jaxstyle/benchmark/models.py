"""The networks to measure: of known architectures with random weights, or trained ones."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import flax
import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.bundle import load_bundle, save_bundle
from jaxstyle.errors import UserError
from jaxstyle.models import GENERATORS, build_generator
from jaxstyle.models.realtime import SIZES

_SEED = 0


@dataclasses.dataclass(frozen=True)
class Model:
    """A network as files: the bundle that jaxstyle loads, and the same weights for NumPy.

    name: as the user gave it. generator: its config. stride: what sizes must be multiples of.
    """

    name: str
    generator: dict
    stride: int
    bundle: Path
    npz: Path


def prepare_models(names: Sequence[str], bundles: Sequence[str], folder: Path) -> list[Model]:
    """Writes what workers load into `folder`: random networks by name, then trained bundles.

    names: a size of the realtime generator, or another key of `GENERATORS`. Raises `UserError`
    for an unknown name or an unreadable bundle.
    """
    paths = {}
    for name in names:
        paths[name] = folder / f"{name}.safetensors"
        config = _config(name)
        save_bundle(paths[name], _random_parameters(config), {"generator": config})
    paths |= {bundle: Path(bundle) for bundle in bundles}
    models = []
    for i, (name, path) in enumerate(paths.items()):
        bundle = load_bundle(path)
        npz = folder / f"{i}.npz"
        np.savez(npz, **flax.traverse_util.flatten_dict(bundle.parameters, sep="/"))
        config, stride = bundle.metadata["generator"], bundle.generator.stride
        models.append(Model(name, config, stride, path, npz))
    return models


def write_onnx(model: Model, shape: tuple[int, int, int, int], folder: Path) -> dict[str, Path]:
    """Writes the model as ONNX for frames of one shape [N, H, W, 3]; returns the files.

    "generator" takes and gives float32 in [-1, 1], "engine" uint8. Raises `UserError` for a
    generator that cannot be exported.
    """
    # Not above: the export needs a package that only these peers ask for.
    from jaxstyle.export.inference import argument_specs, inference_function
    from jaxstyle.export.onnx import to_onnx

    bundle = load_bundle(model.bundle)
    batch, height, width, _ = shape

    def generate(x: jax.Array) -> jax.Array:
        return bundle.generator.apply({"params": bundle.parameters}, x)

    specs = argument_specs(model.stride, (width, height), batch)
    protos = {
        "generator": to_onnx(generate, jax.ShapeDtypeStruct(shape, jnp.float32), input_names=["x"]),
        "engine": to_onnx(inference_function(bundle), *specs, input_names=["frames", "strength"]),
    }
    files = {name: folder / f"{name}.onnx" for name in protos}
    for name, proto in protos.items():
        files[name].write_bytes(proto.SerializeToString())
    return files


def _config(name: str) -> dict[str, str]:
    if name in SIZES:
        return {"name": "realtime", "size": name}
    others = [other for other in GENERATORS if other != "realtime"]
    if name in others:
        return {"name": name}
    known = ", ".join([*SIZES, *others])
    raise UserError(f"no model named {name!r}; there are: {known}; --model=FILE for a trained one")


def _random_parameters(config: dict[str, str]) -> dict:
    """Float32 parameters, none zero: untrained ones hold zeros, which hide what differs."""
    generator = build_generator(config)
    example = jnp.zeros((1, 16 * generator.stride, 16 * generator.stride, 3))
    shapes = jax.eval_shape(generator.init, jax.random.key(0), example)["params"]
    rng = np.random.default_rng(_SEED)
    flat = flax.traverse_util.flatten_dict(shapes, sep="/")
    drawn = {path: _random(rng, path, leaf.shape) for path, leaf in sorted(flat.items())}
    return flax.traverse_util.unflatten_dict(drawn, sep="/")


def _random(rng: np.random.Generator, path: str, shape: tuple[int, ...]) -> np.ndarray:
    values = rng.standard_normal(shape, dtype=np.float32)
    if path.endswith("kernel"):
        return values / np.sqrt(np.prod(shape[:-1], dtype=np.float32))
    return 0.1 * values + (1 if path.endswith("scale") else 0)
