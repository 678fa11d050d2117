"""The engine: uint8 frames in, stylized uint8 frames out, in one compiled function."""

import functools
import os
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.bundle import Bundle
from jaxstyle.errors import UserError


def stylize(
    generator: nn.Module, parameters: dict, frames: jax.Array, strength: jax.Array
) -> jax.Array:
    """Stylizes uint8 RGB frames [N, H, W, 3] of any H and W; returns uint8 of the same shape.

    strength: float32 scalar s; the result is x + s (G(x) - x): 0 gives the frames, 1 the style.
    """
    height, width = frames.shape[1:3]
    x = frames.astype(jnp.float32) / 127.5 - 1.0
    # Edge padding, as reflection needs a frame larger than its pad.
    pad_height, pad_width = -height % generator.stride, -width % generator.stride
    padded = jnp.pad(x, ((0, 0), (0, pad_height), (0, pad_width), (0, 0)), mode="edge")
    y = generator.apply({"params": parameters}, padded)[:, :height, :width]
    blended = x + strength * (y.astype(jnp.float32) - x)
    return jnp.round((jnp.clip(blended, -1.0, 1.0) + 1.0) * 127.5).astype(jnp.uint8)


class Stylizer:
    """A bundle's generator, compiled once per shape of its input and kept on the device.

    Raises `UserError` if the bundle's parameters are not finite: it would show black frames.
    """

    def __init__(self, bundle: Bundle):
        finite = jax.tree.map(lambda a: bool(jnp.isfinite(a).all()), bundle.parameters)
        if not all(jax.tree.leaves(finite)):
            raise UserError("the model holds NaN or infinite weights: its training diverged")
        self._parameters = jax.device_put(bundle.parameters)
        self._stylize = jax.jit(functools.partial(stylize, bundle.generator))

    def __call__(self, frames: np.ndarray | jax.Array, strength: float = 1.0) -> jax.Array:
        """Stylizes uint8 [N, H, W, 3]; returns at once with the result still being computed.

        A new shape compiles (seconds); a new strength does not. `np.asarray` on the result waits.
        """
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
            raise ValueError(f"frames are {frames.dtype} {frames.shape}, not uint8 [N, H, W, 3]")
        return self._stylize(self._parameters, frames, jnp.float32(strength))


def keep_compiled_programs() -> None:
    """Has JAX store what it compiles in ~/.cache/jaxstyle/compiled, so the next start is quick.

    JAX_COMPILATION_CACHE_DIR names another folder. For entry points, before the first compilation.
    """
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        # Not beside the rendered scenes, so that a person can clear either.
        folder = Path.home() / ".cache" / "jaxstyle" / "compiled"
        jax.config.update("jax_compilation_cache_dir", str(folder))
