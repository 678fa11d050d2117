"""Functions that JAX traces under their own name, written as the one operation that they are.

Taken apart into primitives they would be right as well, but slow, and they would need arithmetic
with the frame's size. The names and operands are those of the functions in
`jaxstyle.models.layers` and `jax.nn`. Each takes the graph, the equation and the operands' tensors
and returns the result's, or None where only the primitives will do.
"""

import functools
import re
from collections.abc import Callable, Sequence

import numpy as np
from jax.extend.core import JaxprEqn

from jaxstyle.export.onnx_graph import Graph
from jaxstyle.export.onnx_operations import aval, convolution

Block = Callable[..., str | None]

_HWIO = (3, 2, 0, 1)


def block_named(name: str) -> Block | None:
    """The block of a traced function's name, or None if it has none."""
    padding = re.fullmatch(r"reflect_pad_(\d+)_(\d+)_(\d+)_(\d+)", name)
    if padding:
        return functools.partial(_reflect_pad, amounts=[int(text) for text in padding.groups()])
    return BLOCKS.get(name)


def _reflect_pad(graph: Graph, eqn: JaxprEqn, x: str, *, amounts: Sequence[int]) -> str:
    top, bottom, left, right = amounts
    _, height, width, _ = aval(eqn.invars[0]).shape
    sides = ((2, height, top, bottom), (3, width, left, right))
    if any(isinstance(size, int) and max(pads) >= size for _, size, *pads in sides):
        # JAX goes on and reflects the reflection, ONNX does not.
        for axis, size, before, after in sides:
            positions = np.pad(np.arange(size), (before, after), mode="reflect")
            x = graph.add("Gather", x, graph.constant(positions), axis=axis)
        return x
    pads = graph.constant([0, 0, top, left, 0, 0, bottom, right])
    return graph.add("Pad", x, pads, mode="reflect")


def _pixel_unshuffle(graph: Graph, eqn: JaxprEqn, x: str) -> str:
    channels, result = aval(eqn.invars[0]).shape[3], aval(eqn.outvars[0]).shape[3]
    return graph.add("SpaceToDepth", x, blocksize=round((result / channels) ** 0.5))


def _pixel_shuffle(graph: Graph, eqn: JaxprEqn, x: str) -> str:
    channels, result = aval(eqn.invars[0]).shape[3], aval(eqn.outvars[0]).shape[3]
    factor = round((channels / result) ** 0.5)
    return graph.add("DepthToSpace", x, blocksize=factor, mode="DCR")


def _upsample_bilinear(graph: Graph, eqn: JaxprEqn, x: str, *, centres: str) -> str:
    scales = graph.constant(np.array([1, 1, 2, 2], np.float32))
    how = {"mode": "linear", "coordinate_transformation_mode": centres}
    return graph.add("Resize", x, "", scales, **how)


def _depthwise_conv_3x3(graph: Graph, eqn: JaxprEqn, x: str, kernel: str, bias: str) -> str:
    channels = aval(eqn.invars[0]).shape[3]
    return convolution(graph, x, kernel, bias, order=_HWIO, group=channels)


def _down_conv(graph: Graph, eqn: JaxprEqn, x: str, kernel: str) -> str:
    return convolution(graph, x, kernel, order=_HWIO, strides=[2, 2])


def _tiled_conv(graph: Graph, eqn: JaxprEqn, x: str, kernel: str) -> str:
    return convolution(graph, x, kernel, order=_HWIO)


def _frame_norm(
    graph: Graph, eqn: JaxprEqn, x: str, scale: str, bias: str, epsilon: str
) -> str | None:
    if aval(eqn.invars[0]).dtype != np.float32:
        return None
    # OpenVINO runs this faster than InstanceNormalization over all channels laid end to end, and
    # ONNX Runtime as fast.
    channels = aval(eqn.invars[0]).shape[3]
    per_channel = (1, 1, 1, channels)
    axes = graph.constant([1, 2, 3])
    deviation = graph.add("Sub", x, graph.add("ReduceMean", x, axes, keepdims=1))
    square = graph.add("Mul", deviation, deviation)
    variance = graph.add("ReduceMean", square, axes, keepdims=1)
    spread = graph.add("Sqrt", graph.add("Add", variance, epsilon))
    gain = graph.add("Div", graph.reshape(scale, (channels,), per_channel), spread)
    scaled = graph.add("Mul", deviation, gain)
    return graph.add("Add", scaled, graph.reshape(bias, (channels,), per_channel))


def _instance_norm(graph: Graph, eqn: JaxprEqn, x: str, epsilon: str) -> str | None:
    if aval(eqn.invars[0]).dtype != np.float32 or epsilon not in graph.known:
        return None
    channels = aval(eqn.invars[0]).shape[3]
    gain = graph.constant(np.ones(channels, np.float32))
    bias = graph.constant(np.zeros(channels, np.float32))
    return graph.add("InstanceNormalization", x, gain, bias, epsilon=float(graph.known[epsilon]))


def _relu(graph: Graph, eqn: JaxprEqn, x: str) -> str:
    return graph.add("Relu", x)


def _leaky_relu(graph: Graph, eqn: JaxprEqn, x: str, slope: str) -> str | None:
    if slope not in graph.known:
        return None
    return graph.add("LeakyRelu", x, alpha=float(graph.known[slope]))


BLOCKS: dict[str, Block] = {
    "depthwise_conv_3x3": _depthwise_conv_3x3,
    "down_conv": _down_conv,
    "frame_norm": _frame_norm,
    "instance_norm": _instance_norm,
    "leaky_relu": _leaky_relu,
    "pixel_shuffle": _pixel_shuffle,
    "pixel_unshuffle": _pixel_unshuffle,
    "relu": _relu,
    "tiled_conv": _tiled_conv,
    "upsample_bilinear": functools.partial(_upsample_bilinear, centres="half_pixel"),
    "upsample_bilinear_aligned": functools.partial(_upsample_bilinear, centres="align_corners"),
}
