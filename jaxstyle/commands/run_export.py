"""Exports a model for other programs: what `jaxstyle.export` does."""

import argparse
import dataclasses
import json
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.choices import PLATFORMS
from jaxstyle.errors import UserError
from jaxstyle.export import stablehlo
from jaxstyle.export.comparison import compare
from jaxstyle.export.exported_function import (
    BakedStyle,
    argument_specs,
    baked_style,
    inference_function,
)
from jaxstyle.extras import require
from jaxstyle.files.atomic_file import write_whole
from jaxstyle.inference.bundle import Bundle
from jaxstyle.inference.model_files import find_model
from jaxstyle.inference.open_model import open_model
from jaxstyle.models import DTYPES

HOW_TO_RUN = {
    "stablehlo": """\
run it with JAX, without jaxstyle (readable by JAX for six months; the bundle is what to keep):
  from jax import export
  stylize = jax.jit(export.deserialize(open({path!r}, "rb").read()).call)
  stylized = stylize(frames, numpy.float32(1.0))""",
    "onnx": """\
run it with ONNX Runtime, or give the file to OpenVINO:
  session = onnxruntime.InferenceSession({path!r})
  strength = numpy.array(1.0, numpy.float32)
  stylized, = session.run(None, {{"frames": frames, "strength": strength}})""",
}

_Run = Callable[[np.ndarray, np.ndarray], np.ndarray]


def export_model(args: argparse.Namespace) -> None:
    """Does what `jaxstyle.export` is asked for."""
    kind = _format(args)
    _check_out(args)
    bundle = open_model(args.model)
    # A style image is encoded in the model's own dtype, as the live engine does it.
    style = baked_style(bundle, args.style)
    if style.name is not None:
        print(f"with the style {style.name}")
    if args.dtype:
        generator = bundle.generator.clone(dtype=DTYPES[args.dtype])
        bundle = dataclasses.replace(bundle, generator=generator)
    if args.size is None:
        side = bundle.generator.stride
        sizes = [(24 * side, 16 * side), (8 * side, 12 * side)]
    else:
        sizes = [args.size]
    export = _to_onnx if kind == "onnx" else _to_stablehlo
    data, exported, source = export(bundle, style, args)
    print(compare(exported, source, sizes, args.batch))
    write_whole(args.out, data)
    print(f"wrote {args.out} ({len(data) / 1e6:.1f} MB)")
    print(HOW_TO_RUN[kind].format(path=str(args.out)))


def _format(args: argparse.Namespace) -> str:
    kind = args.format or args.out.suffix.lower().removeprefix(".")
    if kind not in HOW_TO_RUN:
        raise UserError(f"{args.out} ends in neither .stablehlo nor .onnx; give a --format")
    if kind == "onnx" and args.platforms != PLATFORMS:
        raise UserError("--platforms is for StableHLO; an ONNX file runs on any")
    return kind


def _check_out(args: argparse.Namespace) -> None:
    if not args.out.parent.is_dir():
        raise UserError(f"there is no folder {args.out.parent} to write {args.out.name} to")
    if args.out.is_dir():
        raise UserError(f"{args.out} is a folder; give the name of a file")
    if args.out.exists():
        if args.out.samefile(find_model(args.model)):
            raise UserError(f"{args.out} is the model itself; choose another name")
        if not args.overwrite:
            raise UserError(f"{args.out} exists; --overwrite replaces it")


def _to_stablehlo(
    bundle: Bundle, style: BakedStyle, args: argparse.Namespace
) -> tuple[bytes, _Run, _Run]:
    device = stablehlo.device_of(args.platforms)
    function = inference_function(bundle, style.condition)
    specs = argument_specs(bundle.generator.stride, args.size, args.batch)
    data = stablehlo.to_stablehlo(function, *specs, platforms=args.platforms)
    return data, _on(device, stablehlo.load_stablehlo(data)), _on(device, jax.jit(function))


def _to_onnx(
    bundle: Bundle, style: BakedStyle, args: argparse.Namespace
) -> tuple[bytes, _Run, _Run]:
    require("onnx")

    from jaxstyle.export import onnx

    if bundle.generator.dtype != jnp.float32:
        raise UserError("ONNX runtimes compute in float32; give --dtype=float32")
    function = inference_function(bundle, style.condition)
    model = onnx.to_onnx(
        function,
        *argument_specs(bundle.generator.stride, args.size, args.batch),
        input_names=["frames", "strength"],
        output_names=["stylized"],
        properties={
            "made_with": "jaxstyle",
            "name": str(bundle.metadata["name"]),
            **({"style": style.name} if style.name else {}),
            "licence": str(bundle.metadata.get("licence") or "unknown"),
            "generator": json.dumps(bundle.metadata["generator"]),
            "frames": "uint8 RGB [N, H, W, 3], full range",
            "strength": "float32 scalar, from 0 (the input) to 1 (the style)",
        },
    )
    data = model.SerializeToString()
    # On the CPU: GPUs round convolutions to fewer digits, and the runtime computes on the CPU too.
    return data, onnx.load_onnx(data), _on(jax.devices("cpu")[0], jax.jit(function))


def _on(device: jax.Device, function: Callable) -> _Run:
    def run(frames: np.ndarray, strength: np.ndarray) -> np.ndarray:
        with jax.default_device(device):
            return np.asarray(function(frames, strength))

    return run
