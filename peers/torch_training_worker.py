"""The worker that takes the same training steps in PyTorch: on CUDA where jaxstyle is on a GPU."""

import functools
import sys

import numpy as np
import torch
from serve import Contestant, peak_resident_bytes, serve
from torch_recipes import RECIPES


def prepare(order: dict, frames: np.ndarray, *, compiled: bool) -> Contestant:
    """The step of the order's "recipe", from the parameters of its "npz"; see `torch_recipes`.

    order: also "config", the recipe as nested dicts. frames: uint8 [3, N, S, S, 3], the "parts" of
    a batch by their names in the order.
    """
    torch.set_num_threads(order["threads"])
    on_gpu = order["platform"] != "cpu"
    if on_gpu and not torch.cuda.is_available():
        raise RuntimeError(f"jaxstyle runs on {order['platform']}, this PyTorch has no CUDA")
    # Both JAX and PyTorch let cuDNN compute float32 convolutions in TF32; neither is told not to.
    torch.backends.cudnn.benchmark = True
    device = torch.device("cuda" if on_gpu else "cpu")
    arrays = np.load(order["npz"], allow_pickle=False)
    recipe = RECIPES[order["recipe"]](order["config"], arrays, device, compiled)
    # NHWC in memory, seen as NCHW, is what channels-last means: nothing is moved.
    batch = {
        name: torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2)
        for name, pixels in zip(order["parts"], frames, strict=True)
    }

    def run() -> dict[str, torch.Tensor]:
        metrics = recipe.step(batch)
        if on_gpu:
            torch.cuda.synchronize()
        return metrics

    return Contestant(
        device=run,
        to_numpy=lambda metrics: np.array([float(metrics[n]) for n in ("g/total", "d/total")]),
        end_to_end=None,
        facts={"version": torch.__version__},
        peak_bytes=torch.cuda.max_memory_allocated if on_gpu else peak_resident_bytes,
    )


if __name__ == "__main__":
    serve(functools.partial(prepare, compiled=sys.argv[1] == "torch-compile"))
