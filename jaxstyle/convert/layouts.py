"""Which published tensor is which parameter of ours, architecture by architecture."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import flax
import jax
import numpy as np

from jaxstyle.errors import UserError
from jaxstyle.models import build_generator
from jaxstyle.models.examples import init_parameters

# The module that a published name ends with, and ours ("conv.weight" is our "kernel").
_CONV = {"weight": "kernel", "bias": "bias"}
_NORM = {"weight": "scale", "bias": "bias"}

MICROAST_PARTS = ("content_encoder", "style_encoder", "modulator", "decoder")

Names = dict[str, str]


def _animegan2_names() -> Names:
    """The layout of github.com/bryandlee/animegan2-pytorch."""
    names = {"out_layer.0.weight": "out/kernel"}

    def conv_norm(theirs: str, ours: str, conv: str = "conv", norm: str = "norm") -> None:
        # A sequence of padding, convolution, norm and activation.
        names[f"{theirs}.1.weight"] = f"{ours}/{conv}/kernel"
        for leaf, our_leaf in _NORM.items():
            names[f"{theirs}.2.{leaf}"] = f"{ours}/{norm}/{our_leaf}"

    for block, layers in {"a": (0, 1, 2), "b": (0, 1), "c": (0, 5), "d": (0, 1)}.items():
        for i in layers:
            conv_norm(f"block_{block}.{i}", f"{block}{i}")
    for i in range(3):
        conv_norm(f"block_e.{i}", f"e{i}")
    for i in range(1, 5):
        theirs, ours = f"block_c.{i}.layers", f"c{i}"
        conv_norm(f"{theirs}.0", f"{ours}/expand")
        conv_norm(f"{theirs}.1", ours, "depthwise", "depthwise_norm")
        names[f"{theirs}.1.1.bias"] = f"{ours}/depthwise/bias"
        names[f"{theirs}.2.weight"] = f"{ours}/project/kernel"
        for leaf, our_leaf in _NORM.items():
            names[f"{theirs}.3.{leaf}"] = f"{ours}/project_norm/{our_leaf}"
    return names


def _microast_names() -> Names:
    """The layout of github.com/EndyWon/MicroAST, its four files' names put before theirs."""
    encoder = {
        "enc1.0": "conv",
        "enc1.2": "down0",
        "enc1.4": "mix0",
        "enc1.6": "down1",
        "enc1.8": "mix1",
        "enc1.10.conv1": "residual0/conv0",
        "enc1.10.conv2": "residual0/conv1",
        "enc2.0.conv1": "residual1/conv0",
        "enc2.0.conv2": "residual1/conv1",
    }
    decoder = {
        "dec1.conv1": "residual0/conv0",
        "dec1.conv2": "residual0/conv1",
        "dec2.conv1": "residual1/conv0",
        "dec2.conv2": "residual1/conv1",
        "dec3.1": "up0",
        "dec3.3": "mix0",
        "dec3.6": "up1",
        "dec3.8": "mix1",
        "dec3.10": "out",
    }
    modules = {f"decoder.{theirs}": f"decoder/{ours}" for theirs, ours in decoder.items()}
    for part in ("content_encoder", "style_encoder"):
        modules |= {f"{part}.{theirs}": f"{part}/{ours}" for theirs, ours in encoder.items()}
    for level in (0, 1):
        modules[f"modulator.weight{level + 1}.0"] = f"weights_{level}"
        modules[f"modulator.bias{level + 1}.0"] = f"biases_{level}"
    return {
        f"{theirs}.conv_layer.{leaf}": f"{ours}/{our_leaf}"
        for theirs, ours in modules.items()
        for leaf, our_leaf in _CONV.items()
    }


@dataclasses.dataclass(frozen=True)
class Layout:
    """A published architecture.

    names: of our parameters ("decoder/out/kernel"), by the published ones. parts: the files that
    it is published as, each one's name standing before its tensors' in `names`; () for one file.
    """

    names: Names
    parts: Sequence[str] = ()


LAYOUTS = {
    "animegan2": Layout(_animegan2_names()),
    "microast": Layout(_microast_names(), MICROAST_PARTS),
}


def recognise(files: Mapping[Path, Iterable[str]]) -> str:
    """The kind of architecture whose tensors the files' names are those of, or `UserError`."""
    given = {name for names in files.values() for name in names}
    for kind, layout in LAYOUTS.items():
        known = set(layout.names)
        # Without the part, as the files of one published in parts have them.
        known |= {name.partition(".")[2] for name in known if layout.parts}
        if given & known:
            return kind
    raise UserError(
        f"{_listed(files)} holds the weights of no known kind (its first tensor is "
        f"{min(given, default='missing')!r}); there are: {', '.join(LAYOUTS)}"
    )


def gather(kind: str, files: Mapping[Path, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The tensors of all files in one dict, named as in the layout of `kind`.

    Which part of the architecture a file is, its tensors say; the two encoders of MicroAST, which
    have the same, are told apart by "content" and "style" in the file's name. Raises `UserError`
    for a part that is missing or there twice.
    """
    layout = LAYOUTS[kind]
    tensors = list(files.values())
    if len(files) == 1 and (not layout.parts or not tensors[0].keys().isdisjoint(layout.names)):
        return dict(tensors[0])
    if not layout.parts:
        raise UserError(f"{kind} is published as one file; given are {_listed(files)}")
    gathered: dict[str, tuple[Path, Mapping[str, np.ndarray]]] = {}
    for path, content in files.items():
        part = _part(layout, path, content)
        if part in gathered:
            raise UserError(f"{gathered[part][0]} and {path} are both the {part} of {kind}")
        gathered[part] = path, content
    for part in layout.parts:
        if part not in gathered:
            raise UserError(
                f"{kind} also needs its {part}; it is published as {len(layout.parts)} files: "
                f"{', '.join(layout.parts)}"
            )
    return {
        f"{part}.{name}": value
        for part, (_, content) in gathered.items()
        for name, value in content.items()
    }


def _part(layout: Layout, path: Path, content: Mapping[str, np.ndarray]) -> str:
    fitting = [
        part for part in layout.parts if any(f"{part}.{name}" in layout.names for name in content)
    ]
    if not fitting:
        raise UserError(f"{path} is none of: {', '.join(layout.parts)}")
    if len(fitting) == 1:
        return fitting[0]
    named = [part for part in fitting if part.partition("_")[0] in path.name]
    if len(named) != 1:
        raise UserError(
            f"{path} could be the {' or the '.join(fitting)}; give the file a name that says which"
        )
    return named[0]


def to_parameters(
    kind: str, tensors: Mapping[str, np.ndarray], generator: Mapping[str, Any]
) -> dict[str, Any]:
    """The parameters of our generator from published tensors, as a nested dict of float32 arrays.

    tensors: by their published names; kernels [out, in/groups, rows, columns]. generator: its
    config. Raises `UserError` naming the first tensor that is missing, superfluous, of another
    shape or not finite.
    """
    names = LAYOUTS[kind].names
    module = build_generator(generator)
    shapes = jax.eval_shape(lambda key: init_parameters(module, key, 64), jax.random.key(0))
    shapes = flax.traverse_util.flatten_dict(shapes, sep="/")
    parameters = {}
    for name in sorted(names.keys() | tensors.keys()):
        if name not in tensors:
            raise UserError(f"{name} is missing: these are not the weights of {kind}")
        if name not in names:
            raise UserError(f"{name} is not a tensor of {kind}, which has {len(names)} others")
        value = np.asarray(tensors[name], np.float32)
        if value.ndim == 4:
            value = value.transpose(2, 3, 1, 0)
        wanted = shapes[names[name]].shape
        if value.shape != wanted:
            wanted = wanted if value.ndim != 4 else tuple(wanted[i] for i in (3, 2, 0, 1))
            raise UserError(f"{name} is {tensors[name].shape}; that of {kind} is {wanted}")
        if not np.isfinite(value).all():
            raise UserError(f"{name} holds values that are not finite: the file is damaged")
        parameters[names[name]] = value
    return flax.traverse_util.unflatten_dict(parameters, sep="/")


def _listed(files: Iterable[Path]) -> str:
    return ", ".join(str(path) for path in files)
