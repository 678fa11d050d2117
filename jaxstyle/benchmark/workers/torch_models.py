"""jaxstyle's generators as one would write them in PyTorch, with the weights of the Flax ones.

Submodules are named as in `jaxstyle.models`, so that a parameter's path is the same in both.
NCHW, float32 in [-1, 1] in, float32 out; the dtype of the weights is that of the computation.
"""

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDE = 4
MARGIN = 8
SIZES = {"tiny": (24, 2), "small": (32, 4), "base": (64, 6)}


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x)))."""

    def __init__(self, width: int):
        super().__init__()
        self.Conv_0 = nn.Conv2d(width, width, 3, padding=1)
        self.Conv_1 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to the same."""
        return x + self.Conv_1(F.relu(self.Conv_0(x)))


class Realtime(nn.Module):
    """`jaxstyle.models.realtime.Realtime` of the given size."""

    def __init__(self, size: str = "small"):
        super().__init__()
        width, self.blocks = SIZES[size]
        self.stem = nn.Conv2d(3 * STRIDE**2, width, 3, padding=1)
        for i in range(self.blocks):
            self.add_module(f"block_{i}", ResidualBlock(width))
        self.head = nn.Conv2d(width, 4 * STRIDE**2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, 3, H, W] to the same."""
        y = F.pad(x.to(self.stem.weight.dtype), (MARGIN,) * 4, mode="reflect")
        y = F.relu(self.stem(F.pixel_unshuffle(y, STRIDE)))
        for i in range(self.blocks):
            y = getattr(self, f"block_{i}")(y)
        y = F.pixel_shuffle(self.head(F.relu(y)), STRIDE).float()
        y = y[:, :, MARGIN:-MARGIN, MARGIN:-MARGIN]
        return x * (1 - y[:, 3:]) + y[:, :3]

    def load_state_dict(self, state: dict[str, Tensor]):
        """Takes Flax's channels, (row, column, C), and reorders them to PyTorch's (C, row, column).

        That is the order within a tile of the pixel (un)shuffle.
        """
        state = dict(state)
        state["stem.weight"] = _channels_first(state["stem.weight"], axis=1)
        state["head.weight"] = _channels_first(state["head.weight"], axis=0)
        state["head.bias"] = _channels_first(state["head.bias"], axis=0)
        return super().load_state_dict(state)


def _channels_first(weight: Tensor, axis: int) -> Tensor:
    tiles = weight.unflatten(axis, (STRIDE**2, -1))
    return tiles.transpose(axis, axis + 1).flatten(axis, axis + 1)


class ConvNormLeaky(nn.Module):
    """Reflection-padded convolution, layer norm over C, H and W, leaky ReLU 0.2."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int = 3, down: bool = False):
        super().__init__()
        beside = kernel_size // 2
        self.padding = (0, 1, 0, 1) if down else (beside,) * 4
        self.conv = nn.Conv2d(inputs, outputs, kernel_size, 2 if down else 1, bias=False)
        self.norm = nn.GroupNorm(1, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, outputs, H, W], half as high and wide if `down`."""
        if any(self.padding):
            x = F.pad(x, self.padding, mode="reflect")
        return F.leaky_relu(self.norm(self.conv(x)), 0.2)


class InvertedResidual(nn.Module):
    """1x1 to twice the channels, depthwise 3x3, 1x1 to 256; added to x where the shapes match."""

    def __init__(self, inputs: int):
        super().__init__()
        middle = 2 * inputs
        self.expand = ConvNormLeaky(inputs, middle, 1)
        self.depthwise = nn.Conv2d(middle, middle, 3, groups=middle)
        self.depthwise_norm = nn.GroupNorm(1, middle)
        self.project = nn.Conv2d(middle, 256, 1, bias=False)
        self.project_norm = nn.GroupNorm(1, 256)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, 256, H, W]."""
        y = self.depthwise(F.pad(self.expand(x), (1, 1, 1, 1), mode="reflect"))
        y = F.leaky_relu(self.depthwise_norm(y), 0.2)
        y = self.project_norm(self.project(y))
        return x + y if x.shape == y.shape else y


class AnimeGan2(nn.Module):
    """`jaxstyle.models.animegan2.AnimeGan2`."""

    def __init__(self):
        super().__init__()
        self.a0 = ConvNormLeaky(3, 32, 7)
        self.a1 = ConvNormLeaky(32, 64, down=True)
        self.a2 = ConvNormLeaky(64, 64)
        self.b0 = ConvNormLeaky(64, 128, down=True)
        self.b1 = ConvNormLeaky(128, 128)
        self.c0 = ConvNormLeaky(128, 128)
        self.c1 = InvertedResidual(128)
        self.c2 = InvertedResidual(256)
        self.c3 = InvertedResidual(256)
        self.c4 = InvertedResidual(256)
        self.c5 = ConvNormLeaky(256, 128)
        self.d0 = ConvNormLeaky(128, 128)
        self.d1 = ConvNormLeaky(128, 128)
        self.e0 = ConvNormLeaky(128, 64)
        self.e1 = ConvNormLeaky(64, 64)
        self.e2 = ConvNormLeaky(64, 32, 7)
        self.out = nn.Conv2d(32, 3, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N, 3, H, W] to the same."""
        y = x.to(self.out.weight.dtype)
        y = self.b1(self.b0(self.a2(self.a1(self.a0(y)))))
        y = self.c5(self.c4(self.c3(self.c2(self.c1(self.c0(y))))))
        y = self.d1(self.d0(_upsampled(y)))
        y = self.e2(self.e1(self.e0(_upsampled(y))))
        return torch.tanh(self.out(y).float())


def _upsampled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


GENERATORS = {"realtime": Realtime, "animegan2": AnimeGan2}


def build(generator: Mapping[str, str], weights: Mapping[str, np.ndarray]) -> nn.Module:
    """The network of a generator's config with Flax parameters, {"stem/kernel": array, ...}."""
    options = {k: v for k, v in generator.items() if k not in ("name", "dtype")}
    if generator["name"] not in GENERATORS:
        raise RuntimeError(f"{generator['name']} is not written in PyTorch here")
    model = GENERATORS[generator["name"]](**options).eval()
    state = {}
    for path, value in weights.items():
        *modules, kind = path.split("/")
        if kind == "kernel":
            value = value.transpose(3, 2, 0, 1)  # HWIO to OIHW
        name = ".".join([*modules, "bias" if kind == "bias" else "weight"])
        state[name] = torch.from_numpy(np.ascontiguousarray(value))
    model.load_state_dict(state)
    return model
