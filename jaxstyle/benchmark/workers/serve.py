"""A worker's side of the conversation: orders come as JSON lines on stdin, replies go to stdout.

{"do": "prepare", ...} builds the network and stores its outputs; {"do": "measure", "kind": ...,
"seconds": s, "warm": bool} runs it and replies with the seconds of each call, and those that all
threads together computed. A failure is a reply as well: {"error": "one line", "out_of_memory":
bool}.
"""

import dataclasses
import json
import os
import queue
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import numpy as np


@dataclasses.dataclass
class Contestant:
    """What is measured, ready to run on the frames of its order.

    device: runs it on what is on the device already, returns when the result is there. to_numpy:
    that result as float32; a network's is [N, H, W, 3]. end_to_end: uint8 frames in host memory to
    uint8 frames in host memory, [N, H, W, 3]; None if only `device` is measured. facts: what the
    reply to "prepare" tells besides. peak_bytes: the most memory that was in use so far.
    """

    device: Callable[[], Any]
    to_numpy: Callable[[Any], np.ndarray]
    end_to_end: Callable[[], np.ndarray] | None
    facts: dict
    peak_bytes: Callable[[], int]


def peak_resident_bytes() -> int:
    """The most memory of the host that this process has held so far."""
    status = Path("/proc/self/status")
    if status.exists():
        # Linux's rusage starts with what the process that forked this one held.
        peaks = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(peaks[0].split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def normalized(frames: np.ndarray) -> np.ndarray:
    """The uint8 frames as float32 in [-1, 1]."""
    return frames.astype(np.float32) / 127.5 - 1


def serve(prepare: Callable[[dict, np.ndarray], Contestant]) -> None:
    """Answers orders until stdin ends. `prepare(order, frames)` builds the network.

    The order has "bundle" (a path) and other files of the same network, "npz" and "onnx" (see
    `cells`), "generator" (its config), "dtype", "platform" (where jaxstyle runs: "cpu", "gpu"),
    "threads", "frames" (a path: uint8 [N, H, W, 3]) and "output" (where to write OUTPUT.device.npy
    and OUTPUT.end_to_end.npy).
    """
    # Ctrl-C reaches all of the terminal's processes; the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    replies = _take_stdout()
    orders = _orders()
    contestant: Contestant | None = None
    while True:
        order = orders.get()
        try:
            if order["do"] == "prepare":
                frames = np.load(order["frames"], allow_pickle=False)
                start = time.perf_counter()
                contestant = prepare(order, frames)
                reply = _first_outputs(contestant, order["output"], start)
            elif contestant is None:
                raise ValueError("nothing is prepared to be measured")
            else:
                reply = _measure(contestant, order["kind"], order["seconds"], order["warm"])
        except Exception as error:
            reply = {"error": _one_line(error), "out_of_memory": _is_out_of_memory(error)}
        print(json.dumps(reply), file=replies, flush=True)


def _take_stdout() -> TextIO:
    """stdout for the replies alone: what libraries print there goes to stderr from now on."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return replies


def _orders() -> queue.Queue:
    """Reads orders on a thread, which ends the process, in the midst of its work, with stdin."""
    orders: queue.Queue = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            orders.put(json.loads(line))
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return orders


def _first_outputs(contestant: Contestant, output: str, start: float) -> dict:
    result = contestant.device()
    compile_seconds = time.perf_counter() - start
    np.save(f"{output}.device.npy", contestant.to_numpy(result))
    if contestant.end_to_end is not None:
        np.save(f"{output}.end_to_end.npy", contestant.end_to_end())
    return {**contestant.facts, "compile_seconds": compile_seconds}


def _measure(contestant: Contestant, kind: str, seconds: float, warm: bool) -> dict:
    run = contestant.device if kind == "device" else contestant.end_to_end
    if run is None:
        raise ValueError(f"there is no {kind} to be measured")
    if warm:
        run()  # the caches are another contestant's, and the threads asleep
    times: list[float] = []
    cpu_times: list[float] = []
    while not times or sum(times) < seconds:
        start, cpu_start = time.perf_counter(), time.process_time()
        run()
        times.append(time.perf_counter() - start)
        cpu_times.append(time.process_time() - cpu_start)
    return {"seconds": times, "cpu_seconds": cpu_times, "peak_bytes": contestant.peak_bytes()}


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300]


def _is_out_of_memory(error: Exception) -> bool:
    marks = ("RESOURCE_EXHAUSTED", "out of memory", "bad_alloc", "not enough memory")
    return isinstance(error, MemoryError) or any(mark in str(error) for mark in marks)
