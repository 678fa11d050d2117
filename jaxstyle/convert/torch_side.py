"""What only PyTorch can do, run as a script by an interpreter that has it (and NumPy).

    torch_side.py read WEIGHTS OUT.npz
    torch_side.py run KIND ALIGN_CORNERS ARRAYS.npz OUT.npz

`read` writes the tensors of a checkpoint as arrays. `run` takes such arrays and images: "frame"
and "style", float32 [1, 3, H, W] in [-1, 1]; it writes what the published generator makes of them
as "output". Trouble is one line on stderr. Nothing in a checkpoint is executed.
"""

import pickle
import sys
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

State = dict[str, Tensor]


def read(path: str) -> dict[str, np.ndarray]:
    """The tensors of a state dict, or of the one under "state_dict"."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, OSError) as error:
        reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
        sys.exit(f"not a file of PyTorch weights alone: {reason[0]}")
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        sys.exit("holds something else than named tensors; save the model's state_dict() alone")
    return {str(name): tensor.float().numpy() for name, tensor in content.items()}


def _pad(x: Tensor, left: int, right: int, top: int, bottom: int) -> Tensor:
    return F.pad(x, (left, right, top, bottom), mode="reflect")


def _norm(state: State, name: str, x: Tensor) -> Tensor:
    return F.group_norm(x, 1, state[f"{name}.weight"], state[f"{name}.bias"])


def _conv_norm_leaky(state: State, name: str, x: Tensor, stride: int = 1) -> Tensor:
    weight, bias = state[f"{name}.1.weight"], state.get(f"{name}.1.bias")
    beside = weight.shape[-1] // 2
    if beside:
        x = _pad(x, *((0, 1, 0, 1) if stride == 2 else (beside,) * 4))
    x = F.conv2d(x, weight, bias, stride, groups=x.shape[1] // weight.shape[1])
    return F.leaky_relu(_norm(state, f"{name}.2", x), 0.2)


def animegan2(state: State, x: Tensor, align_corners: bool) -> Tensor:
    """AnimeGANv2's generator: [N, 3, H, W] in [-1, 1] to the same."""

    def double(x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=align_corners)

    for name, stride in (("a.0", 1), ("a.1", 2), ("a.2", 1), ("b.0", 2), ("b.1", 1), ("c.0", 1)):
        x = _conv_norm_leaky(state, f"block_{name}", x, stride)
    for i in range(1, 5):
        name = f"block_c.{i}.layers"
        y = _conv_norm_leaky(state, f"{name}.0", x)
        y = _conv_norm_leaky(state, f"{name}.1", y)
        y = _norm(state, f"{name}.3", F.conv2d(y, state[f"{name}.2.weight"]))
        x = x + y if x.shape == y.shape else y
    x = double(_conv_norm_leaky(state, "block_c.5", x))
    for i in range(2):
        x = _conv_norm_leaky(state, f"block_d.{i}", x)
    x = double(x)
    for i in range(3):
        x = _conv_norm_leaky(state, f"block_e.{i}", x)
    return F.conv2d(x, state["out_layer.0.weight"]).tanh()


def _conv(state: State, name: str, x: Tensor, stride: int = 1) -> Tensor:
    weight = state[f"{name}.conv_layer.weight"]
    x = _pad(x, *(weight.shape[-1] // 2,) * 4)
    groups = x.shape[1] // weight.shape[1]
    return F.conv2d(x, weight, state[f"{name}.conv_layer.bias"], stride, groups=groups)


def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(x, (2, 3), keepdim=True)
    return mean, (variance + 1e-5).sqrt()


def _encode(state: State, part: str, x: Tensor) -> tuple[Tensor, Tensor]:
    x = x * 0.5 + 0.5
    for i, stride in ((0, 1), (2, 2), (4, 1), (6, 2), (8, 1)):
        x = F.relu(_conv(state, f"{part}.enc1.{i}", x, stride))
    levels = []
    for name in (f"{part}.enc1.10", f"{part}.enc2.0"):
        x = x + _conv(state, f"{name}.conv2", F.relu(_conv(state, f"{name}.conv1", x)))
        levels.append(x)
    return levels[0], levels[1]


def microast(state: State, x: Tensor, style: Tensor) -> Tensor:
    """MicroAST: [N, 3, H, W] in [-1, 1] and style images of that range to images of x's shape."""
    levels = _encode(state, "style_encoder", style)
    y = _encode(state, "content_encoder", x)[1]
    for block, level in ((1, 2), (2, 1)):
        features = levels[level - 1]
        mean, std = _statistics(y)
        style_mean, style_std = _statistics(features)
        y = (y - mean) / std * style_std + style_mean
        scale, shift = (
            _conv(state, f"modulator.{name}{level}.0", features).mean((2, 3), keepdim=True)
            for name in ("weight", "bias")
        )
        name = f"decoder.dec{block}"
        z = F.relu(scale * _conv(state, f"{name}.conv1", y) + shift * y)
        y = y + scale * _conv(state, f"{name}.conv2", z) + shift * z
    for i in (1, 6):
        y = F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)
        y = F.relu(_conv(state, f"decoder.dec3.{i}", y))
        y = F.relu(_conv(state, f"decoder.dec3.{i + 2}", y))
    return _conv(state, "decoder.dec3.10", y) * 2 - 1


def run(kind: str, align_corners: bool, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """What the generator of that kind makes of "frame" (and "style")."""
    state = {name: torch.from_numpy(array) for name, array in arrays.items()}
    frame, style = state.pop("frame"), state.pop("style")
    with torch.inference_mode():
        if kind == "microast":
            return microast(state, frame, style).numpy()
        return animegan2(state, frame, align_corners).numpy()


def main() -> None:
    """Runs one command; see the top of the file."""
    if sys.argv[1] == "read":
        tensors: dict[str, Any] = {**read(sys.argv[2])}
        np.savez(sys.argv[3], **tensors)
    else:
        kind, align_corners, source, out = sys.argv[2:]
        with np.load(source) as arrays:
            np.savez(out, output=run(kind, align_corners == "1", dict(arrays)))


if __name__ == "__main__":
    main()
