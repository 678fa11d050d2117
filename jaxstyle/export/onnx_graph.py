"""An ONNX graph under construction, and how it stores images: channels first.

JAX's arrays here are NHWC, and ONNX convolves NCHW. So that no layer has to transpose, there is
one rule: **every array of rank 4 is stored with its last axis second**, whatever it holds, and
arrays of other ranks as they are. Operations translate the axes that they name by `stored_axis`.
"""

import ast
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from jaxstyle.errors import UserError

OPSET = 18
# ONNX's "to the end", in either direction.
END = np.iinfo(np.int64).max
BEFORE_START = np.iinfo(np.int64).min

# A dimension: a number, or an expression of `jax.export` where it is symbolic.
Dimension = Any

_ARITHMETIC = {ast.Add: "Add", ast.Sub: "Sub", ast.Mult: "Mul", ast.Pow: "Pow"}


def stored_order(rank: int) -> tuple[int, ...]:
    """The axes of an array of this rank, in the order in which they are stored."""
    return (0, 3, 1, 2) if rank == 4 else tuple(range(rank))


def stored_axis(axis: int, rank: int) -> int:
    """Where an axis is stored."""
    return stored_order(rank).index(axis)


class Graph:
    """The nodes so far. Tensors are named by strings.

    known: arrays whose value does not depend on the input, by name, in their own layout.
    """

    def __init__(self):
        self.known: dict[str, np.ndarray] = {}
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, np.ndarray] = {}
        self._counts: Counter[str] = Counter()
        self._dimensions: dict[str, tuple[str, int]] = {}

    def add(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Appends a node with one output; returns its name."""
        return self.add_with_outputs(op_type, 1, *inputs, **attributes)[0]

    def add_with_outputs(
        self, op_type: str, count: int, *inputs: str, **attributes: Any
    ) -> list[str]:
        """Appends a node with `count` outputs; returns their names."""
        outputs = [self._name(op_type) for _ in range(count)]
        self._nodes.append(helper.make_node(op_type, inputs, outputs, outputs[0], **attributes))
        return outputs

    def constant(self, array: np.ndarray | Sequence[int]) -> str:
        """A tensor stored as it is, such as the int64 shapes and axes that ONNX takes."""
        name = self._name("constant")
        self._constants[name] = np.asarray(array)
        return name

    def value(self, array: np.ndarray) -> str:
        """A known array as an operand: stored in the layout of its rank."""
        name = self.constant(array.transpose(stored_order(array.ndim)))
        self.known[name] = array
        return name

    def arrange(self, tensor: str, have: Sequence[int], want: Sequence[int]) -> str:
        """Transposes from one order of axes to another; the axes may have any names."""
        if list(have) == list(want):
            return tensor
        return self.add("Transpose", tensor, perm=[list(have).index(axis) for axis in want])

    def to_logical(self, tensor: str, rank: int) -> str:
        """From the stored layout to the array's own."""
        return self.arrange(tensor, stored_order(rank), range(rank))

    def to_stored(self, tensor: str, rank: int) -> str:
        """From the array's own layout to the stored one."""
        return self.arrange(tensor, range(rank), stored_order(rank))

    def reshape(self, tensor: str, before: Sequence[Dimension], after: Sequence[Dimension]) -> str:
        """Reshapes a stored tensor as JAX does an array of shape `before`."""
        if tuple(before) == tuple(after):
            return tensor
        if tensor in self.known:
            return self.value(self.known[tensor].reshape(after))
        rank = len(after)
        if sum(dimension != 1 for dimension in after) <= 1:
            # One axis alone has no order.
            return self.add("Reshape", tensor, self.shape([after[a] for a in stored_order(rank)]))
        tensor = self.add("Reshape", self.to_logical(tensor, len(before)), self.shape(after))
        return self.to_stored(tensor, rank)

    def note_dimensions(self, tensor: str, shape: Sequence[Dimension]) -> None:
        """Remembers where the symbolic dimensions of a stored tensor can be read at run time."""
        for axis, dimension in enumerate(shape):
            if not isinstance(dimension, int):
                place = (tensor, stored_axis(axis, len(shape)))
                self._dimensions.setdefault(_written(dimension), place)

    def shape(self, dimensions: Sequence[Dimension]) -> str:
        """An int64 tensor [rank] of these dimensions, the symbolic ones read at run time."""
        if all(isinstance(dimension, int) for dimension in dimensions):
            return self.constant(np.array(dimensions, np.int64))
        return self.add("Concat", *(self._dimension(d) for d in dimensions), axis=0)

    def _dimension(self, dimension: Dimension) -> str:
        """An int64 tensor [1] of it."""
        if isinstance(dimension, int):
            return self.constant(np.array([dimension], np.int64))
        try:
            return self._computed(ast.parse(_written(dimension), mode="eval").body)
        except KeyError:
            raise UserError(
                f"the model computes with the dimension {dimension}, which an ONNX file of open "
                "frame size cannot; give a --size and a --batch"
            ) from None

    def _computed(self, expression: ast.expr) -> str:
        """What a dimension is at run time; KeyError where it takes more than sums and products."""
        text = ast.unparse(expression)
        if text in self._dimensions:
            tensor, axis = self._dimensions[text]
            return self.add("Shape", tensor, start=axis, end=axis + 1)
        match expression:
            case ast.Constant(value=int(number)):
                return self._dimension(number)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self.add("Neg", self._computed(operand))
            case ast.BinOp(left=left, op=operator, right=right):
                kind = _ARITHMETIC[type(operator)]
                return self.add(kind, self._computed(left), self._computed(right))
            case ast.Name(id=symbol):
                factor, (tensor, axis) = self._multiple_of(symbol)
                multiple = self.add("Shape", tensor, start=axis, end=axis + 1)
                return self.add("Div", multiple, self._dimension(factor))
        raise KeyError(text)

    def _multiple_of(self, symbol: str) -> tuple[int, tuple[str, int]]:
        """A number of times the symbol, and where that can be read: of h, the 4*h of the frame."""
        for text, place in self._dimensions.items():
            factor, times, rest = text.partition(f" * {symbol}")
            if times and not rest and factor.isdecimal():
                return int(factor), place
        raise KeyError(symbol)

    def model(
        self,
        inputs: Sequence[onnx.ValueInfoProto],
        outputs: Sequence[onnx.ValueInfoProto],
        tensors: Sequence[str],
    ) -> onnx.ModelProto:
        """The finished model, whose outputs are these tensors."""
        needed = set(tensors)
        nodes: list[onnx.NodeProto] = []
        for node in reversed(self._nodes):
            if not needed.isdisjoint(node.output):
                nodes.insert(0, node)
                needed.update(node.input)
        for output, tensor in zip(outputs, tensors, strict=True):
            nodes.append(helper.make_node("Identity", [tensor], [output.name]))
        constants = [
            numpy_helper.from_array(np.array(array, order="C"), name)
            for name, array in self._constants.items()
            if name in needed
        ]
        graph = helper.make_graph(nodes, "jaxstyle", inputs, outputs, constants)
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(
            graph,
            opset_imports=[opset],
            # The oldest that knows the opset: runtimes refuse versions newer than themselves.
            ir_version=helper.find_min_ir_version_for([opset]),
            producer_name="jaxstyle",
        )

    def _name(self, kind: str) -> str:
        self._counts[kind] += 1
        return f"{kind}_{self._counts[kind]}"


def _written(dimension: Dimension) -> str:
    """A symbolic dimension as Python writes such an expression, "4 * h * w - 1"."""
    return ast.unparse(ast.parse(str(dimension).replace("^", "**"), mode="eval"))
