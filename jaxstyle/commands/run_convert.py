"""Makes a bundle of published PyTorch weights: what `jaxstyle.convert` does."""

import argparse
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxstyle.convert import layouts
from jaxstyle.convert.published import has_torch, published_output, read_weights
from jaxstyle.errors import UserError
from jaxstyle.inference.bundle import save_bundle
from jaxstyle.models import build_generator

# Between our output and PyTorch's, both in [-1, 1]: an eighth of a step of 8 bits.
TOLERANCE = 1e-3
# Of the image that both are given. The statistics over so few pixels forgive no mistake.
_SAMPLE_SIZE = 64


def convert(args: argparse.Namespace) -> None:
    """Does what `jaxstyle.convert` is asked for."""
    _check_out(args)
    files = {path: read_weights(path, args.torch_python) for path in args.sources}
    kind = args.kind or layouts.recognise(files)
    generator: dict[str, Any] = {"name": kind}
    if args.align_corners:
        if kind != "animegan2":
            raise UserError(f"--align_corners is for animegan2; these are the weights of {kind}")
        generator["align_corners"] = True
    tensors = layouts.gather(kind, files)
    parameters = layouts.to_parameters(kind, tensors, generator)
    if has_torch(args.torch_python):
        difference = _difference(args.torch_python, generator, parameters, tensors)
        if not difference <= TOLERANCE:
            raise UserError(
                f"differs from PyTorch by up to {difference:.1e} of [-1, 1]: nothing is written; "
                f"are these the weights of {kind} as it is published?"
            )
        print(f"as PyTorch computes it, to {difference:.1e} of [-1, 1]")
    else:
        print("not compared with PyTorch, for want of it; --torch_python names one that has it")
    metadata = {
        "name": args.name or args.out.stem,
        "licence": args.licence,
        "generator": generator,
        "converted_from": [path.name for path in args.sources],
    }
    save_bundle(args.out, parameters, metadata)
    count = sum(leaf.size for leaf in jax.tree.leaves(parameters))
    print(f"wrote {args.out}: {kind}, {count:,} parameters")


def _check_out(args: argparse.Namespace) -> None:
    if args.out.suffix != ".safetensors":
        raise UserError(f"{args.out} comes last and names the bundle; it must end in .safetensors")
    if not args.out.parent.is_dir():
        raise UserError(f"there is no folder {args.out.parent} to write {args.out.name} to")
    if args.out.is_dir():
        raise UserError(f"{args.out} is a folder; give the name of a file")
    if args.out.exists():
        if any(path.exists() and args.out.samefile(path) for path in args.sources):
            raise UserError(f"{args.out} is one of the sources; choose another name")
        if not args.overwrite:
            raise UserError(f"{args.out} exists; --overwrite replaces it")


def _difference(
    python: str,
    config: Mapping[str, Any],
    parameters: Any,
    tensors: Mapping[str, np.ndarray],
) -> float:
    """The largest difference between our output and PyTorch's, on a sample of noise."""
    shape = (2, 1, _SAMPLE_SIZE, _SAMPLE_SIZE, 3)
    frame, style = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    expected = published_output(
        python,
        config["name"],
        tensors,
        frame,
        style,
        align_corners=config.get("align_corners", False),
    )
    generator = build_generator(config)
    variables = {"params": parameters}
    # On the CPU, as PyTorch is run: GPUs round convolutions to fewer digits.
    with jax.default_device(jax.devices("cpu")[0]):
        condition: tuple[Any, ...] = ()
        if getattr(generator, "condition", None) == "image":
            condition = (generator.apply(variables, style, method="encode_style"),)
        output = generator.apply(variables, frame, *condition)
    return float(np.abs(np.asarray(output) - expected).max())
