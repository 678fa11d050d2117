"""What is exported: uint8 frames and a strength in, uint8 frames out, as in the live engine."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import export

from jaxstyle.bundle import Bundle
from jaxstyle.errors import UserError
from jaxstyle.realtime.engine import stylize

# In strides. JAX must be able to prove that a frame of open size is larger than any pad by
# reflection.
_SMALLEST = 8


def inference_function(bundle: Bundle) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Returns f(frames, strength) with the bundle's weights in it.

    frames: uint8 RGB [N, H, W, 3]; strength: float32 scalar, 0 gives the frames and 1 the style.
    The result is uint8 of the shape of the frames. Raises `UserError` if a weight is not finite.
    """
    if not all(jnp.isfinite(weights).all() for weights in jax.tree.leaves(bundle.parameters)):
        raise UserError("the model holds NaN or infinite weights: its training diverged")
    return functools.partial(stylize, bundle.generator, bundle.parameters)


def argument_specs(
    stride: int, size: tuple[int, int] | None = None, batch: int | None = None
) -> tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct]:
    """The shapes and dtypes of frames and strength.

    size: (width, height), any; None leaves it open to all multiples of the generator's `stride`
    from 8 strides on. batch: the number of frames; None leaves that open.
    """
    if size is None:
        # Multiples, as the frame would otherwise need a padding that depends on its size.
        height, width = f"{stride}*h", f"{stride}*w"
        constraints = (f"h >= {_SMALLEST}", f"w >= {_SMALLEST}")
    else:
        width, height = size
        constraints = ()
    shape = export.symbolic_shape(
        f"{batch or 'n'}, {height}, {width}, 3", scope=export.SymbolicScope(constraints)
    )
    return jax.ShapeDtypeStruct(shape, jnp.uint8), jax.ShapeDtypeStruct((), jnp.float32)
