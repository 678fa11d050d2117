"""What is exported: uint8 frames and a strength in, uint8 frames out, as in the live engine."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import export

from jaxstyle.errors import UserError
from jaxstyle.inference.bundle import Bundle
from jaxstyle.inference.engine import stylize
from jaxstyle.inference.styles import conditions_of, style_names
from jaxstyle.media.images import read_image
from jaxstyle.models.examples import condition_of, takes_noise

# In strides. JAX must be able to prove that a frame of open size is larger than any pad by
# reflection.
_SMALLEST = 8


class BakedStyle(NamedTuple):
    """The one style that an export has.

    name: None for that of a bundle of one style. condition: what the generator takes for it beside
    the frames, float32 leaves [1, ...]; None if it takes nothing.
    """

    name: str | None = None
    condition: Any = None


def inference_function(
    bundle: Bundle, condition: Any = None
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Returns f(frames, strength) with the bundle's weights in it, and the one style.

    frames: uint8 RGB [N, H, W, 3]; strength: float32 scalar, 0 gives the frames and 1 the style.
    The result is uint8 of the shape of the frames. condition: as in `BakedStyle`. Raises
    `UserError` if a weight is not finite.
    """
    if not all(jnp.isfinite(weights).all() for weights in jax.tree.leaves(bundle.parameters)):
        raise UserError("the model holds NaN or infinite weights: its training diverged")
    return functools.partial(stylize, bundle.generator, bundle.parameters, condition=condition)


def baked_style(bundle: Bundle, style: str | None) -> BakedStyle:
    """The style that is asked for, of those that the bundle can take.

    style: of a generator of several styles the name of one, None for the first; of an arbitrary
    style the path of an image; None for a bundle of one. Raises `UserError` for a style that there
    is not, for one that is missing, and for a bundle that makes pictures from noise.
    """
    if takes_noise(bundle.generator):
        raise UserError(
            "the model makes pictures from noise, and what is exported stylizes frames; "
            "python -m jaxstyle.generate makes its pictures"
        )
    kind = condition_of(bundle.generator)
    if kind == "image":
        if style is None:
            raise UserError("the model takes its style from an image; give one with --style=IMAGE")
        return BakedStyle(Path(style).stem, conditions_of(bundle, [read_image(style)]))
    if kind is None:
        if style is not None:
            raise UserError("the model has one style only; leave out --style")
        return BakedStyle()
    names = style_names([bundle])
    name = names[0] if style is None else style
    if name not in names:
        raise UserError(f"the model has no style {name!r}; there are: {', '.join(names)}")
    index = names.index(name)
    return BakedStyle(name, conditions_of(bundle, [])[index : index + 1])


def argument_specs(
    stride: int, size: tuple[int, int] | None = None, batch: int | None = None
) -> tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct]:
    """The shapes and dtypes of frames and strength.

    size: (width, height), any; None leaves it open to all multiples of the generator's `stride`
    from 8 strides on. batch: the number of frames; None leaves that open.
    """
    constraints: tuple[str, ...] = ()
    if size is None:
        # Multiples, as the frame would otherwise need a padding that depends on its size.
        height, width = f"{stride}*h", f"{stride}*w"
        constraints = (f"h >= {_SMALLEST}", f"w >= {_SMALLEST}")
    else:
        width, height = (str(length) for length in size)
    shape = export.symbolic_shape(
        f"{batch or 'n'}, {height}, {width}, 3", scope=export.SymbolicScope(constraints)
    )
    return jax.ShapeDtypeStruct(shape, jnp.uint8), jax.ShapeDtypeStruct((), jnp.float32)
