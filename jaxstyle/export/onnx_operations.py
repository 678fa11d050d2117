"""JAX's primitives in ONNX: a small function for each, in the table at the end.

Each takes the graph, the equation of the traced program and the names of its operands' tensors,
and returns the name of the result's, or a list of them. Shapes in an equation are JAX's; tensors
are stored as `onnx_graph` says. What cannot be expressed raises `UserError`.
"""

import math
import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jax import lax
from jax.core import ShapedArray
from jax.extend.core import JaxprEqn
from onnx import helper

from jaxstyle.errors import UserError
from jaxstyle.export.onnx_graph import (
    BEFORE_START,
    END,
    Dimension,
    Graph,
    stored_axis,
    stored_order,
)

Operation = Callable[..., str | list[str]]

_NHWC = (0, 3, 1, 2)  # batch, feature, then the spatial axes, as JAX writes convolution layouts


def aval(atom: Any) -> ShapedArray:
    """The shape and the dtype of an operand or a result of an equation."""
    return atom.aval


def _shape(eqn: JaxprEqn, operand: int = 0) -> tuple[Dimension, ...]:
    return aval(eqn.invars[operand]).shape


def _node(op_type: str) -> Operation:
    """For operations that ONNX has too, with the same operands."""

    def convert(graph: Graph, eqn: JaxprEqn, *operands: str) -> str:
        return graph.add(op_type, *operands)

    return convert


def _unchanged(graph: Graph, eqn: JaxprEqn, x: str) -> str:
    return x


def _not_equal(graph: Graph, eqn: JaxprEqn, x: str, y: str) -> str:
    return graph.add("Not", graph.add("Equal", x, y))


def _reciprocal_square_root(graph: Graph, eqn: JaxprEqn, x: str) -> str:
    return graph.add("Reciprocal", graph.add("Sqrt", x))


def _square(graph: Graph, eqn: JaxprEqn, x: str) -> str:
    return graph.add("Mul", x, x)


def _dimension_as_number(graph: Graph, eqn: JaxprEqn) -> str:
    """What the mean over an axis of open size divides by."""
    number = graph.add("Squeeze", graph.shape([eqn.params["dim"]]))
    dtype = helper.np_dtype_to_tensor_dtype(np.dtype(aval(eqn.outvars[0]).dtype))
    return graph.add("Cast", number, to=dtype)


def _exponential_minus_one(graph: Graph, eqn: JaxprEqn, x: str) -> str:
    one = graph.constant(np.array(1, aval(eqn.invars[0]).dtype))
    return graph.add("Sub", graph.add("Exp", x), one)


def _logarithm_of_one_plus(graph: Graph, eqn: JaxprEqn, x: str) -> str:
    one = graph.constant(np.array(1, aval(eqn.invars[0]).dtype))
    return graph.add("Log", graph.add("Add", x, one))


def _integer_power(graph: Graph, eqn: JaxprEqn, x: str) -> str:
    exponent = np.array(eqn.params["y"], aval(eqn.invars[0]).dtype)
    return graph.add("Pow", x, graph.constant(exponent))


def _round(graph: Graph, eqn: JaxprEqn, x: str) -> str:
    if eqn.params["rounding_method"] == lax.RoundingMethod.TO_NEAREST_EVEN:
        return graph.add("Round", x)
    half = graph.constant(np.array(0.5, aval(eqn.invars[0]).dtype))
    magnitude = graph.add("Floor", graph.add("Add", graph.add("Abs", x), half))
    return graph.add("Mul", graph.add("Sign", x), magnitude)


def _cast(graph: Graph, eqn: JaxprEqn, x: str) -> str:
    dtype = np.dtype(eqn.params["new_dtype"])
    if dtype == aval(eqn.invars[0]).dtype:
        return x
    return graph.add("Cast", x, to=helper.np_dtype_to_tensor_dtype(dtype))


def _clamp(graph: Graph, eqn: JaxprEqn, low: str, x: str, high: str) -> str:
    return graph.add("Min", graph.add("Max", x, low), high)


def _select(graph: Graph, eqn: JaxprEqn, which: str, *cases: str) -> str:
    if aval(eqn.invars[0]).dtype != bool or len(cases) != 2:
        raise UserError("ONNX selects between two arrays only (jnp.where); lax.select_n has more")
    return graph.add("Where", which, cases[1], cases[0])


def _reshape(graph: Graph, eqn: JaxprEqn, x: str) -> str:
    return graph.reshape(x, _shape(eqn), aval(eqn.outvars[0]).shape)


def _broadcast(graph: Graph, eqn: JaxprEqn, x: str) -> str:
    before, after = _shape(eqn), aval(eqn.outvars[0]).shape
    aligned = [1] * len(after)
    for axis, dimension in zip(eqn.params["broadcast_dimensions"], before, strict=True):
        aligned[axis] = dimension
    x = graph.reshape(x, before, aligned)
    if aligned == list(after):
        return x
    return graph.add("Expand", x, graph.shape([after[a] for a in stored_order(len(after))]))


def _transpose(graph: Graph, eqn: JaxprEqn, x: str) -> str:
    order = stored_order(len(_shape(eqn)))
    return graph.arrange(x, order, [eqn.params["permutation"][axis] for axis in order])


def _position(position: Dimension, size: Dimension) -> int:
    """A position on an axis as ONNX takes it: a number, from the end where it depends on `size`."""
    if isinstance(position, int | np.integer):
        return int(position)
    from_end = position - size
    if not isinstance(from_end, int):
        raise UserError(
            f"the model cuts a frame at {position}; an ONNX file of open frame size can cut at a "
            "fixed distance from the border only: give a --size"
        )
    return from_end or END


def _slice(graph: Graph, eqn: JaxprEqn, x: str) -> str:
    shape = _shape(eqn)
    steps = eqn.params["strides"] or [1] * len(shape)
    return _cut(graph, x, shape, eqn.params["start_indices"], eqn.params["limit_indices"], steps)


def _gather(graph: Graph, eqn: JaxprEqn, x: str, indices: str) -> str:
    """Only what a slice can do, which is what JAX makes of `x[:, 8:-8]` for an open frame size."""
    numbers, sizes = eqn.params["dimension_numbers"], eqn.params["slice_sizes"]
    if indices not in graph.known or graph.known[indices].ndim != 1:
        raise UserError("ONNX: indexing an array by computed positions is not supported yet")
    shape, starts = _shape(eqn), [0] * len(_shape(eqn))
    for axis, start in zip(numbers.start_index_map, graph.known[indices], strict=True):
        starts[axis] = int(start)
    ends = [start + size for start, size in zip(starts, sizes, strict=True)]
    x = _cut(graph, x, shape, starts, ends, [1] * len(shape))
    return graph.reshape(x, sizes, aval(eqn.outvars[0]).shape)


def _cut(
    graph: Graph,
    x: str,
    shape: Sequence[Dimension],
    starts: Sequence[Dimension],
    ends: Sequence[Dimension],
    steps: Sequence[int],
) -> str:
    places = zip(starts, ends, steps, shape, strict=True)
    cuts = [
        (stored_axis(axis, len(shape)), _position(start, size), _position(end, size), step)
        for axis, (start, end, step, size) in enumerate(places)
        if (start, end, step) != (0, size, 1)
    ]
    return _sliced(graph, x, cuts)


def _reverse(graph: Graph, eqn: JaxprEqn, x: str) -> str:
    rank = len(_shape(eqn))
    axes = [stored_axis(axis, rank) for axis in eqn.params["dimensions"]]
    return _sliced(graph, x, [(axis, -1, BEFORE_START, -1) for axis in axes])


def _sliced(graph: Graph, x: str, cuts: Sequence[tuple[int, int, int, int]]) -> str:
    """cuts: (axis, start, end, step), in stored axes."""
    if not cuts:
        return x
    axes, starts, ends, steps = (graph.constant(column) for column in np.array(cuts, np.int64).T)
    return graph.add("Slice", x, starts, ends, axes, steps)


def _split(graph: Graph, eqn: JaxprEqn, x: str) -> list[str]:
    sizes = eqn.params["sizes"]
    axis = stored_axis(eqn.params["axis"], len(_shape(eqn)))
    lengths = graph.constant(np.array(sizes, np.int64))
    return graph.add_with_outputs("Split", len(sizes), x, lengths, axis=axis)


def _concatenate(graph: Graph, eqn: JaxprEqn, *parts: str) -> str:
    # jnp.pad joins empty arrays too, which not every runtime accepts.
    axis = eqn.params["dimension"]
    filled = [part for i, part in enumerate(parts) if _shape(eqn, i)[axis] != 0]
    if len(filled) == 1:
        return filled[0]
    return graph.add("Concat", *filled, axis=stored_axis(axis, len(_shape(eqn))))


def _stack(graph: Graph, eqn: JaxprEqn, *parts: str) -> str:
    shape = list(_shape(eqn))
    axis = eqn.params["axis"]
    row = [*shape[:axis], 1, *shape[axis:]]
    rows = [graph.reshape(part, shape, row) for part in parts]
    return graph.add("Concat", *rows, axis=stored_axis(axis, len(row)))


def _tile(graph: Graph, eqn: JaxprEqn, x: str) -> str:
    repeats = eqn.params["reps"]
    return graph.add("Tile", x, graph.constant([repeats[a] for a in stored_order(len(repeats))]))


def _pad(graph: Graph, eqn: JaxprEqn, x: str, value: str) -> str:
    widths = eqn.params["padding_config"]
    if any(interior for _, _, interior in widths):
        raise UserError("ONNX cannot pad between elements (lax.pad with interior padding)")
    order = stored_order(len(widths))
    amounts = [widths[a][0] for a in order] + [widths[a][1] for a in order]
    if not any(amounts):
        return x
    return graph.add("Pad", x, graph.constant(np.array(amounts, np.int64)), value, mode="constant")


def _reduce(op_type: str) -> Operation:
    def convert(graph: Graph, eqn: JaxprEqn, x: str) -> str:
        rank, axes = len(_shape(eqn)), eqn.params["axes"]
        if not axes:
            return x
        stored = graph.constant([stored_axis(axis, rank) for axis in axes])
        left = [axis for axis in range(rank) if axis not in axes]
        reduced = graph.add(op_type, x, stored, keepdims=0)
        have = [axis for axis in stored_order(rank) if axis not in axes]
        return graph.arrange(reduced, have, [left[axis] for axis in stored_order(len(left))])

    return convert


def _convolve(graph: Graph, eqn: JaxprEqn, x: str, kernel: str) -> str:
    params = eqn.params
    layout = params["dimension_numbers"]
    if layout.lhs_spec != _NHWC or layout.out_spec != _NHWC:
        raise UserError("only convolutions over the H and W of [N, H, W, C] can go to ONNX")
    if any(dilation != 1 for dilation in params["lhs_dilation"]):
        raise UserError("transposed convolutions cannot go to ONNX yet; resize and convolve")
    (top, bottom), (left, right) = params["padding"]
    if not all(isinstance(amount, int) for amount in (top, bottom, left, right)):
        raise UserError("a convolution's padding depends on the frame's size; give a --size")
    return convolution(
        graph,
        x,
        kernel,
        order=layout.rhs_spec,
        strides=params["window_strides"],
        pads=[top, left, bottom, right],
        dilations=params["rhs_dilation"],
        group=params["feature_group_count"],
    )


def convolution(
    graph: Graph,
    x: str,
    kernel: str,
    *bias: str,
    order: Sequence[int],
    group: int = 1,
    **attributes: Any,
) -> str:
    """A Conv; `order` says which of the kernel's axes are ONNX's output, input, row and column."""
    if kernel in graph.known:
        known = graph.known[kernel].transpose(order)
        if group == 1:
            known, group = _without_zeros_between_groups(known)
        kernel = graph.constant(known)
    else:
        kernel = graph.arrange(kernel, stored_order(4), order)
    return graph.add("Conv", x, kernel, *bias, group=group, **attributes)


def _without_zeros_between_groups(kernel: np.ndarray) -> tuple[np.ndarray, int]:
    """A kernel [O, I, h, w] as that of a grouped convolution if it is one, and the groups; else 1.

    The models write grouped convolutions as dense ones with zeros, which XLA computes much faster
    on CPUs; what reads ONNX is faster without.
    """
    outputs, inputs, *size = kernel.shape
    groups = math.gcd(outputs, inputs)
    own = np.arange(groups)
    blocks = kernel.reshape(groups, outputs // groups, groups, inputs // groups, *size)[own, :, own]
    if np.count_nonzero(blocks) < np.count_nonzero(kernel) or not blocks.any():
        return kernel, 1
    return blocks.reshape(outputs, inputs // groups, *size), groups


def _multiply_matrices(graph: Graph, eqn: JaxprEqn, x: str, y: str) -> str:
    (x_sum, y_sum), (x_batch, y_batch) = eqn.params["dimension_numbers"]
    x_rank, y_rank = len(_shape(eqn, 0)), len(_shape(eqn, 1))
    if (x_rank, y_rank, x_sum) == (4, 2, (3,)) and y in graph.known:
        # A dense layer on every pixel.
        kernel = graph.known[y].T if y_sum == (0,) else graph.known[y]
        return graph.add("Conv", x, graph.constant(kernel[:, :, None, None]))
    letters = iter(string.ascii_lowercase)
    x_labels = [next(letters) for _ in range(x_rank)]
    y_labels = [next(letters) for _ in range(y_rank)]
    for i, j in zip((*x_sum, *x_batch), (*y_sum, *y_batch), strict=True):
        y_labels[j] = x_labels[i]
    out = [x_labels[i] for i in x_batch]
    out += [x_labels[i] for i in range(x_rank) if i not in (*x_sum, *x_batch)]
    out += [y_labels[j] for j in range(y_rank) if j not in (*y_sum, *y_batch)]
    left, right, result = (
        "".join(labels[axis] for axis in stored_order(len(labels)))
        for labels in (x_labels, y_labels, out)
    )
    return graph.add("Einsum", x, y, equation=f"{left},{right}->{result}")


OPERATIONS: dict[str, Operation] = {
    "abs": _node("Abs"),
    "add": _node("Add"),
    "add_any": _node("Add"),
    "and": _node("And"),
    "broadcast_in_dim": _broadcast,
    "ceil": _node("Ceil"),
    "clamp": _clamp,
    "concatenate": _concatenate,
    "conv_general_dilated": _convolve,
    "convert_element_type": _cast,
    "copy": _unchanged,
    "cos": _node("Cos"),
    "dim_as_value": _dimension_as_number,
    "div": _node("Div"),
    "dot_general": _multiply_matrices,
    "eq": _node("Equal"),
    "erf": _node("Erf"),
    "exp": _node("Exp"),
    "expand_dims": _reshape,
    "expm1": _exponential_minus_one,
    "floor": _node("Floor"),
    "gather": _gather,
    "ge": _node("GreaterOrEqual"),
    "gt": _node("Greater"),
    "integer_pow": _integer_power,
    "le": _node("LessOrEqual"),
    "log": _node("Log"),
    "log1p": _logarithm_of_one_plus,
    "logistic": _node("Sigmoid"),
    "lt": _node("Less"),
    "max": _node("Max"),
    "min": _node("Min"),
    "mul": _node("Mul"),
    "ne": _not_equal,
    "neg": _node("Neg"),
    "not": _node("Not"),
    "or": _node("Or"),
    "pad": _pad,
    "pow": _node("Pow"),
    "reduce_max": _reduce("ReduceMax"),
    "reduce_min": _reduce("ReduceMin"),
    "reduce_sum": _reduce("ReduceSum"),
    "reshape": _reshape,
    "rev": _reverse,
    "round": _round,
    "rsqrt": _reciprocal_square_root,
    "select_n": _select,
    "sign": _node("Sign"),
    "sin": _node("Sin"),
    "slice": _slice,
    "split": _split,
    "sqrt": _node("Sqrt"),
    "square": _square,
    "squeeze": _reshape,
    "stack": _stack,
    "stop_gradient": _unchanged,
    "sub": _node("Sub"),
    "tanh": _node("Tanh"),
    "tile": _tile,
    "transpose": _transpose,
}
