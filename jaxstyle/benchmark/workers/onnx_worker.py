"""The workers of ONNX Runtime and OpenVINO, with the files that `jaxstyle.export` writes.

Each is told to be fast at one frame after the other, on all cores that jaxstyle has. On the CPU,
host memory is the device's: "device" runs the generator from float32 frames to float32 frames.
"""

import sys
from collections.abc import Callable

import numpy as np
from serve import Contestant, normalized, peak_resident_bytes, serve

# Runs a loaded file on inputs by name; returns its one output.
Run = Callable[[dict[str, np.ndarray]], np.ndarray]


def load_onnxruntime(path: str, order: dict) -> Run:
    """A session with ONNX Runtime's defaults, whose threads spin while a call lasts."""
    import onnxruntime

    if order["dtype"] != "float32":
        raise RuntimeError(f"ONNX Runtime on a CPU runs the file in float32, not {order['dtype']}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = order["threads"]
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, inputs)[0]


def load_openvino(path: str, order: dict) -> Run:
    """A request compiled for latency, which neither copies its inputs nor its output."""
    # Importing it would report that to its vendor, from a process that can outlive this one; it
    # does without where that package is not installed, and None makes it look so.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    compiled = openvino.Core().compile_model(
        path,
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": order["threads"],
            "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[order["dtype"]],
        },
    )
    request = compiled.create_infer_request()
    return lambda inputs: request.infer(inputs, share_inputs=True, share_outputs=True)[0]


LOADERS = {"onnxruntime": load_onnxruntime, "openvino": load_openvino}


def prepare(order: dict, frames: np.ndarray) -> Contestant:
    """The generator and the whole of the engine's function, from the order's two ONNX files."""
    name = sys.argv[1]
    if order["platform"] != "cpu":
        raise RuntimeError(f"jaxstyle runs on {order['platform']}, this peer is measured on CPUs")
    generator = LOADERS[name](order["onnx"]["generator"], order)
    engine = LOADERS[name](order["onnx"]["engine"], order)
    x = {"x": normalized(frames)}
    inputs = {"frames": frames, "strength": np.array(1, np.float32)}
    return Contestant(
        device=lambda: generator(x),
        to_numpy=np.asarray,
        end_to_end=lambda: engine(inputs),
        facts={"version": sys.modules[name].__version__},
        peak_bytes=peak_resident_bytes,
    )


if __name__ == "__main__":
    serve(prepare)
