"""The networks to measure: of known architectures with random weights, or trained ones."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.data.scenes import shot
from jaxstyle.errors import UserError
from jaxstyle.inference.bundle import Bundle, load_bundle, save_bundle
from jaxstyle.inference.model_files import find_model
from jaxstyle.inference.styles import conditions_of
from jaxstyle.models import GENERATORS, build_generator
from jaxstyle.models.examples import condition_of, init_parameters, takes_noise
from jaxstyle.models.realtime import SIZES

# The configs of the generators that can be measured, by name: all that stylize images.
MODELS: dict[str, dict[str, Any]] = {
    **{size: {"name": "realtime", "size": size} for size in SIZES},
    "multistyle": {"name": "realtime", "size": "small", "styles": 4},
    **{
        name: {"name": name}
        for name, generator in GENERATORS.items()
        if name != "realtime" and not takes_noise(generator)
    },
}
_SEED = 0
_STYLE_SIZE = (256, 256)


@dataclasses.dataclass(frozen=True)
class Model:
    """A network as files: the bundle that jaxstyle loads, and the same weights for NumPy.

    name: as the user gave it. generator: its config. stride: what sizes must be multiples of.
    npz: parameters by their path ("stem/kernel"), and "condition" or the leaves of one
    ("condition/0/mean") for a generator that takes one.
    """

    name: str
    generator: dict
    stride: int
    bundle: Path
    npz: Path


def prepare_models(names: Sequence[str], bundles: Sequence[str], folder: Path) -> list[Model]:
    """Writes what workers load into `folder`: random networks by name, then trained bundles.

    names: keys of `MODELS`. bundles: what `find_model` takes. Raises `UserError` for an unknown
    name, a bundle of a name in `names`, one that cannot be read or makes pictures from noise.
    """
    paths: dict[str, Path] = {}
    for name in names:
        paths[name] = folder / f"{name}.safetensors"
        config = _config(name)
        save_bundle(paths[name], _random_parameters(config), {"generator": config})
    for spec in dict.fromkeys(bundles):
        if spec in paths:
            raise UserError(f"{spec} is in --models and --model, two networks of one name")
        paths[spec] = find_model(spec)
    models = []
    for i, (name, path) in enumerate(paths.items()):
        bundle = load_bundle(path)
        if takes_noise(bundle.generator):
            raise UserError(f"{name} makes pictures from noise; what is measured is stylizing them")
        npz = folder / f"{i}.npz"
        arrays: dict[str, Any] = {**_arrays(bundle)}
        np.savez(npz, **arrays)
        config, stride = bundle.metadata["generator"], bundle.generator.stride
        models.append(Model(name, config, stride, path, npz))
    return models


def style_images(bundle: Bundle) -> list[np.ndarray]:
    """Where an arbitrary-style bundle takes its style from: [uint8 [256, 256, 3]]; else []."""
    if condition_of(bundle.generator) != "image":
        return []
    return [shot.frame("cel", _SEED, _STYLE_SIZE)]


def first_condition(bundle: Bundle) -> Any:
    """What the generator takes for its first style: float32 leaves [1, ...]; None if nothing."""
    return jax.tree.map(lambda leaf: leaf[:1], conditions_of(bundle, style_images(bundle)))


def write_onnx(model: Model, shape: tuple[int, int, int, int], folder: Path) -> dict[str, Path]:
    """Writes the model as ONNX for frames of one shape [N, H, W, 3]; returns the files.

    "generator" takes and gives float32 in [-1, 1], "engine" uint8; the first style is baked in.
    Raises `UserError` for a generator that cannot be exported.
    """
    # Not above: the export needs a package that only these peers ask for.
    from jaxstyle.export.exported_function import argument_specs, inference_function
    from jaxstyle.export.onnx import to_onnx

    bundle = load_bundle(model.bundle)
    condition = first_condition(bundle)
    batch, height, width, _ = shape

    def generate(x: jax.Array) -> jax.Array:
        inputs = (x,) if condition is None else (x, condition)
        output: Any = bundle.generator.apply({"params": bundle.parameters}, *inputs)
        return output

    specs = argument_specs(model.stride, (width, height), batch)
    protos = {
        "generator": to_onnx(generate, jax.ShapeDtypeStruct(shape, jnp.float32), input_names=["x"]),
        "engine": to_onnx(
            inference_function(bundle, condition), *specs, input_names=["frames", "strength"]
        ),
    }
    files = {name: folder / f"{name}.onnx" for name in protos}
    for name, proto in protos.items():
        files[name].write_bytes(proto.SerializeToString())
    return files


def _arrays(bundle: Bundle) -> dict[str, np.ndarray]:
    """What a peer needs to know, by name; see `Model`."""
    tree = {**bundle.parameters}
    condition = first_condition(bundle)
    if condition is not None:
        tree["condition"] = flax.serialization.to_state_dict(condition)
    return flax.traverse_util.flatten_dict(tree, sep="/")


def _config(name: str) -> dict[str, Any]:
    if name not in MODELS:
        known = ", ".join(MODELS)
        raise UserError(
            f"no model named {name!r}; there are: {known}; --model=MODEL for a trained one"
        )
    return MODELS[name]


def _random_parameters(config: dict[str, Any]) -> dict:
    """Float32 parameters, none zero: untrained ones hold zeros, which hide what differs."""
    generator = build_generator(config)
    shapes = jax.eval_shape(
        lambda key: init_parameters(generator, key, 16 * generator.stride), jax.random.key(0)
    )
    rng = np.random.default_rng(_SEED)
    flat = flax.traverse_util.flatten_dict(shapes, sep="/")
    drawn = {path: _random(rng, path, leaf.shape) for path, leaf in sorted(flat.items())}
    return flax.traverse_util.unflatten_dict(drawn, sep="/")


def _random(rng: np.random.Generator, path: str, shape: tuple[int, ...]) -> np.ndarray:
    values = rng.standard_normal(shape, dtype=np.float32)
    if path.endswith("kernel"):
        return values / np.sqrt(np.prod(shape[:-1], dtype=np.float32))
    return 0.1 * values + (1 if path.endswith("scale") else 0)
