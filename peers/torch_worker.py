"""PyTorch's worker: channels-last, under `inference_mode`, on CUDA where jaxstyle runs on a GPU."""

import functools
import sys

import numpy as np
import torch
from serve import Contestant, peak_resident_bytes, serve
from torch_models import build

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def prepare(order: dict, frames: np.ndarray, *, compiled: bool) -> Contestant:
    """The generator with the weights of the order's "npz", `torch.compile`d or not."""
    torch.set_num_threads(order["threads"])
    on_gpu = order["platform"] != "cpu"
    if on_gpu and not torch.cuda.is_available():
        raise RuntimeError(f"jaxstyle runs on {order['platform']}, this PyTorch has no CUDA")
    # Both JAX and PyTorch let cuDNN compute float32 convolutions in TF32; neither is told not to.
    torch.backends.cudnn.benchmark = True
    device = torch.device("cuda" if on_gpu else "cpu")
    weights = np.load(order["npz"], allow_pickle=False)
    model = build(order["generator"], weights).to(
        device, DTYPES[order["dtype"]], memory_format=torch.channels_last
    )
    network = torch.compile(model) if compiled else model

    def upload(frames: np.ndarray) -> torch.Tensor:
        # NHWC in memory, seen as NCHW, is what channels-last means: nothing is moved.
        pixels = torch.from_numpy(frames).to(device).permute(0, 3, 1, 2)
        return pixels.to(torch.float32) / 127.5 - 1

    @torch.inference_mode()
    def run_on_device() -> torch.Tensor:
        y = network(x)
        if on_gpu:
            torch.cuda.synchronize()
        return y

    @torch.inference_mode()
    def end_to_end() -> np.ndarray:
        y = network(upload(frames))
        pixels = ((y.clamp_(-1, 1) + 1) * 127.5).round_().to(torch.uint8)
        return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()

    x = upload(frames)
    return Contestant(
        device=run_on_device,
        to_numpy=lambda y: y.permute(0, 2, 3, 1).contiguous().cpu().numpy(),
        end_to_end=end_to_end,
        facts={"version": torch.__version__},
        peak_bytes=torch.cuda.max_memory_allocated if on_gpu else peak_resident_bytes,
    )


if __name__ == "__main__":
    serve(functools.partial(prepare, compiled=sys.argv[1] == "torch-compile"))
