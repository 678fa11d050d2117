"""ONNX from a traced JAX function, for ONNX Runtime, OpenVINO and whatever else reads it.

    import numpy, onnxruntime
    session = onnxruntime.InferenceSession("model.onnx")
    strength = numpy.array(1.0, numpy.float32)
    stylized, = session.run(None, {"frames": frames, "strength": strength})

Inside, images are channels first, and the layers are the operations that a hand-written export
would use (see onnx_blocks.py).
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import onnx
import onnxruntime
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal
from onnx import helper

from jaxstyle.errors import UserError
from jaxstyle.export.onnx_blocks import block_named
from jaxstyle.export.onnx_graph import Graph
from jaxstyle.export.onnx_operations import OPERATIONS, aval

# The primitives that call a function once, and where each keeps it.
_CALLED = {
    "checkpoint": "jaxpr",
    "remat2": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "jit": "jaxpr",
}
# Elements of a constant that may be filled with one number.
_SMALL = 2**16


def to_onnx(
    function: Callable,
    *examples: jax.ShapeDtypeStruct | jax.Array | np.ndarray,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    properties: Mapping[str, str] | None = None,
) -> onnx.ModelProto:
    """Converts a function of arrays, such as `lambda x: generator.apply(variables, x)`, to ONNX.

    examples: its arguments, or their shapes and dtypes; dimensions may be symbolic
    (`jax.export.symbolic_shape`). Inputs and outputs keep the function's layout, NHWC, and are
    named input_0, output_0 and so on unless names are given. Arrays that it closes over are
    stored in the model. properties: what the file says about itself, by name.

    Raises `UserError`, naming it, at an operation that has no conversion.
    """
    traced = jax.make_jaxpr(function)(*examples)
    graph = Graph()
    inputs = _value_infos(input_names or _numbered("input", traced.in_avals), traced.in_avals)
    outputs = _value_infos(output_names or _numbered("output", traced.out_avals), traced.out_avals)
    tensors = [
        graph.to_stored(info.name, aval.ndim)
        for info, aval in zip(inputs, traced.in_avals, strict=True)
    ]
    results = _convert(graph, traced, tensors)
    results = [
        graph.to_logical(tensor, aval.ndim)
        for tensor, aval in zip(results, traced.out_avals, strict=True)
    ]
    model = graph.model(inputs, outputs, results)
    helper.set_model_props(model, dict(properties or {}))
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"the model has no valid form in ONNX: {reason}") from error
    return model


def load_onnx(data: bytes) -> Callable[..., np.ndarray]:
    """The model in `data` as a function of its inputs, run by ONNX Runtime on the CPU.

    Gives the first output. Raises `UserError` if ONNX Runtime cannot run the model.
    """
    options = onnxruntime.SessionOptions()
    # Errors come as exceptions; it need not print them, too.
    options.log_severity_level = 4
    with _runtime_errors():
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]

    def run(*arrays: np.ndarray) -> np.ndarray:
        with _runtime_errors():
            return session.run(None, dict(zip(names, arrays, strict=True)))[0]

    return run


@contextlib.contextmanager
def _runtime_errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # what ONNX Runtime raises shares no base class but this
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"ONNX Runtime cannot run the model: {reason}") from error


def _convert(graph: Graph, called: ClosedJaxpr | Jaxpr, arguments: Sequence[str]) -> list[str]:
    """Adds the operations of a traced function to the graph; returns the results' tensors."""
    # Before JAX 0.12, some have no constants and no `jaxpr` in them.
    program, constants = getattr(called, "jaxpr", called), getattr(called, "consts", ())
    tensors = dict(zip(program.invars, arguments, strict=True))
    for variable, constant in zip(program.constvars, constants, strict=True):
        tensors[variable] = graph.value(np.asarray(constant))

    def tensor(atom: Any) -> str:
        if isinstance(atom, Literal):
            return graph.value(np.asarray(atom.val, aval(atom).dtype))
        return tensors[atom]

    for variable in program.invars:
        graph.note_dimensions(tensors[variable], aval(variable).shape)
    for eqn in program.eqns:
        results = _convert_equation(graph, eqn, [tensor(atom) for atom in eqn.invars])
        for variable, result in zip(eqn.outvars, results, strict=True):
            tensors[variable] = result
            graph.note_dimensions(result, aval(variable).shape)
    return [tensor(atom) for atom in program.outvars]


def _convert_equation(graph: Graph, eqn: JaxprEqn, operands: list[str]) -> list[str]:
    name = eqn.primitive.name
    if name in _CALLED:
        block = block_named(eqn.params.get("name", ""))
        written = block(graph, eqn, *operands) if block else None
        if written:
            return [written]
        return _convert(graph, eqn.params[_CALLED[name]], operands)
    if _can_be_computed_now(graph, eqn, operands):
        return _computed(graph, eqn, operands)
    if name not in OPERATIONS:
        raise UserError(
            f"the model uses JAX's {name!r}, which cannot be written as ONNX yet; give a --size "
            "and a --batch, with which JAX may not need it, or add it to "
            "jaxstyle/export/onnx_operations.py"
        )
    result = OPERATIONS[name](graph, eqn, *operands)
    return result if isinstance(result, list) else [result]


def _can_be_computed_now(graph: Graph, eqn: JaxprEqn, operands: list[str]) -> bool:
    """Whether nothing in it depends on the input, so that the result can be stored instead."""
    shapes = [aval(variable).shape for variable in eqn.outvars]
    static = all(isinstance(dimension, int) for shape in shapes for dimension in shape)
    static = static and eqn.primitive.name != "dim_as_value"
    if not static or any(operand not in graph.known for operand in operands):
        return False
    # A number that fills a frame would be a frame in the file.
    return eqn.primitive.name != "broadcast_in_dim" or aval(eqn.outvars[0]).size <= _SMALL


def _computed(graph: Graph, eqn: JaxprEqn, operands: list[str]) -> list[str]:
    results = eqn.primitive.bind(*(graph.known[name] for name in operands), **eqn.params)
    results = results if eqn.primitive.multiple_results else [results]
    return [graph.value(np.asarray(result)) for result in results]


def _numbered(kind: str, avals: Sequence) -> list[str]:
    return [f"{kind}_{i}" for i in range(len(avals))]


def _value_infos(names: Sequence[str], avals: Sequence) -> list[onnx.ValueInfoProto]:
    return [
        helper.make_tensor_value_info(
            name,
            helper.np_dtype_to_tensor_dtype(np.dtype(aval.dtype)),
            [d if isinstance(d, int) else str(d) for d in aval.shape],
        )
        for name, aval in zip(names, avals, strict=True)
    ]
