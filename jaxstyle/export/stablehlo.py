"""StableHLO by `jax.export`: one file that JAX runs on CPU, GPU or TPU without this project.

    import jax, numpy
    from jax import export
    stylize = jax.jit(export.deserialize(open("model.stablehlo", "rb").read()).call)
    frames = stylize(frames, numpy.float32(1.0))    # uint8 RGB [N, H, W, 3] -> the same

`jax.export` promises that later versions of JAX can read the file for six months. The bundle is
what to keep; a file like this can be made from it again.
"""

from collections.abc import Callable, Sequence

import jax
from jax import export

from jaxstyle.choices import PLATFORMS
from jaxstyle.errors import UserError


def to_stablehlo(
    function: Callable, *specs: jax.ShapeDtypeStruct, platforms: Sequence[str] = PLATFORMS
) -> bytes:
    """Compiles nothing, traces `function` for all platforms, and returns the serialized result.

    specs: shapes and dtypes of its arguments; dimensions may be symbolic (`jax.export`). Arrays
    that the function closes over become constants of the program.
    """
    return bytes(export.export(jax.jit(function), platforms=platforms)(*specs).serialize())


def load_stablehlo(data: bytes) -> Callable:
    """The function that `to_stablehlo` was given, jitted, from its serialized form."""
    return jax.jit(export.deserialize(bytearray(data)).call)


def device_of(platforms: Sequence[str]) -> jax.Device:
    """The first device of this machine that is of one of the platforms; `UserError` if none is."""
    for platform in platforms:
        try:
            return jax.devices(platform)[0]
        except RuntimeError:
            continue
    raise UserError(
        f"this machine has no {' or '.join(platforms)} to check the export on; "
        "export there, or for one more platform, such as --platforms=cpu,tpu"
    )
