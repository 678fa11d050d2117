"""jaxstyle's generators as one would write them in PyTorch, with the weights of the Flax ones.

Submodules are named as in `jaxstyle.models`, so that a parameter's path is the same in both.
NCHW, float32 in [-1, 1] in, float32 out; the dtype of the weights is that of the computation.
A style is a buffer, "condition".
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_layers import reflected, upsampled
from torch_microast import MicroAst

STRIDE = 4
MARGIN = 8
SIZES = {"nano": (16, 1), "tiny": (24, 2), "small": (32, 4), "base": (64, 6)}


class StyleAffine(nn.Module):
    """A scale and a shift of each channel, mixed from those of the styles; none for one style."""

    def __init__(self, styles: int, width: int):
        super().__init__()
        if styles > 1:
            self.weight = nn.Parameter(torch.ones(styles, width))
            self.shift = nn.Parameter(torch.zeros(styles, width))

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """x: [N, C, H, W]. condition: the styles' weights, [1, styles]."""
        if condition is None:
            return x
        scale, shift = condition @ self.weight, condition @ self.shift
        return x * scale[..., None, None] + shift[..., None, None]


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), a `StyleAffine` after each convolution."""

    def __init__(self, width: int, styles: int):
        super().__init__()
        self.Conv_0 = nn.Conv2d(width, width, 3, padding=1)
        self.Conv_1 = nn.Conv2d(width, width, 3, padding=1)
        self.style_0 = StyleAffine(styles, width)
        self.style_1 = StyleAffine(styles, width)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """[N, C, H, W] to the same."""
        y = F.relu(self.style_0(self.Conv_0(x), condition))
        return x + self.style_1(self.Conv_1(y), condition)


class Realtime(nn.Module):
    """`jaxstyle.models.realtime.Realtime` of the given size and number of styles."""

    def __init__(self, size: str = "small", styles: int = 1):
        super().__init__()
        width, self.blocks = SIZES[size]
        self.stem = nn.Conv2d(3 * STRIDE**2, width, 3, padding=1)
        self.stem_style = StyleAffine(styles, width)
        for i in range(self.blocks):
            self.add_module(f"block_{i}", ResidualBlock(width, styles))
        self.head_style = StyleAffine(styles, width)
        self.head = nn.Conv2d(width, 4 * STRIDE**2, 3, padding=1)
        self.register_buffer("condition", torch.zeros(1, styles) if styles > 1 else None)

    def forward(self, x: Tensor, return_features: bool = False):
        """[N, 3, H, W] to the same; with `return_features` also the maps, shallow to deep."""
        y = F.pad(x.to(self.stem.weight.dtype), (MARGIN,) * 4, mode="reflect")
        tiles = F.pixel_unshuffle(y, STRIDE)
        y = F.relu(self.stem_style(self.stem(tiles), self.condition))
        features = [tiles, y] if return_features else []
        for i in range(self.blocks):
            y = getattr(self, f"block_{i}")(y, self.condition)
            if return_features:
                features.append(y)
        y = F.relu(self.head_style(y, self.condition))
        y = F.pixel_shuffle(self.head(y), STRIDE).float()
        y = y[:, :, MARGIN:-MARGIN, MARGIN:-MARGIN]
        output = x * (1 - y[:, 3:]) + y[:, :3]
        return (output, features) if return_features else output

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

    def __init__(self, align_corners: bool = False):
        super().__init__()
        self.align_corners = align_corners
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
        y = self.d1(self.d0(upsampled(y, self.align_corners)))
        y = self.e2(self.e1(self.e0(upsampled(y, self.align_corners))))
        return torch.tanh(self.out(y).float())


class ReflectConv(nn.Module):
    """A convolution with reflection padding."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int = 3):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, outputs, H, W]."""
        return self.conv(reflected(x, self.conv.kernel_size[0] // 2))


class ResnetBlock(nn.Module):
    """x + norm(conv(relu(norm(conv(x)))))."""

    def __init__(self, width: int):
        super().__init__()
        self.conv0 = ReflectConv(width, width)
        self.conv1 = ReflectConv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to the same."""
        return x + F.instance_norm(self.conv1(F.relu(F.instance_norm(self.conv0(x)))))


class Resnet(nn.Module):
    """`jaxstyle.models.resnet.ResnetGenerator`."""

    def __init__(self, width: int = 64, blocks: int = 9):
        super().__init__()
        self.blocks = blocks
        self.stem = ReflectConv(3, width, 7)
        self.down0 = nn.Conv2d(width, 2 * width, 3, 2, padding=1)
        self.down1 = nn.Conv2d(2 * width, 4 * width, 3, 2, padding=1)
        for i in range(blocks):
            self.add_module(f"block{i}", ResnetBlock(4 * width))
        self.up0 = nn.Conv2d(4 * width, 2 * width, 3, padding=1)
        self.up1 = nn.Conv2d(2 * width, width, 3, padding=1)
        self.out = ReflectConv(width, 3, 7)

    def forward(self, x: Tensor) -> Tensor:
        """[N, 3, H, W] to the same."""
        y = x.to(self.up0.weight.dtype)
        for layer in (self.stem, self.down0, self.down1):
            y = F.relu(F.instance_norm(layer(y)))
        for i in range(self.blocks):
            y = getattr(self, f"block{i}")(y)
        for layer in (self.up0, self.up1):
            y = F.relu(F.instance_norm(layer(upsampled(y))))
        return torch.tanh(self.out(y).float())


class ConvLade(nn.Module):
    """Reflection-padded convolution, linearly adaptive denormalisation, leaky ReLU 0.2."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int = 3, down: bool = False):
        super().__init__()
        self.padding = (1, 0, 1, 0) if down else (kernel_size // 2,) * 4
        self.conv = nn.Conv2d(inputs, outputs, kernel_size, 2 if down else 1, bias=False)
        self.lade = nn.Conv2d(outputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, outputs, H, W], half as high and wide if `down`."""
        x = self.conv(F.pad(x, self.padding, mode="reflect"))
        variance, mean = torch.var_mean(self.lade(x), (2, 3), correction=0, keepdim=True)
        return F.leaky_relu(F.instance_norm(x) * (variance + 1e-5).sqrt() + mean, 0.2)


class ExternalAttention(nn.Module):
    """`jaxstyle.models.animegan3.ExternalAttention`."""

    def __init__(self, width: int, units: int = 128):
        super().__init__()
        self.query = nn.Conv2d(width, width, 1, bias=False)
        self.project = nn.Conv2d(width, width, 1, bias=False)
        self.memory = nn.Parameter(torch.zeros(width, units))
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to the same."""
        similarity = F.conv2d(self.query(x), self.memory.t()[..., None, None]).float()
        attention = similarity.flatten(2).softmax(2).view_as(similarity)
        attention = attention / (1e-9 + attention.sum(1, keepdim=True))
        y = F.conv2d(attention.to(x.dtype), self.memory[..., None, None])
        y = F.instance_norm(self.project(y), weight=self.weight, bias=self.bias, eps=1e-3)
        return F.leaky_relu(x + y, 0.2)


class AnimeGan3Tail(nn.Module):
    """`jaxstyle.models.animegan3.AnimeGan3Tail`."""

    def __init__(self):
        super().__init__()
        self.attention = ExternalAttention(128)
        self.up2, self.merge2 = ConvLade(128, 128), ConvLade(128, 128)
        self.up1, self.merge1 = ConvLade(128, 64), ConvLade(64, 64)
        self.up0, self.merge0 = ConvLade(64, 32), ConvLade(32, 32)
        self.out = nn.Conv2d(32, 3, 7, bias=False)

    def forward(self, x0: Tensor, x1: Tensor, x2: Tensor, x3: Tensor) -> Tensor:
        """Feature maps, each half as high and wide as the one before, to [N, 3, H, W]."""
        y = self.attention(x3)
        y = self.merge2(self.up2(upsampled(y)) + x2)
        y = self.merge1(self.up1(upsampled(y)) + x1)
        y = self.merge0(self.up0(upsampled(y)) + x0)
        return torch.tanh(self.out(reflected(y, 3)).float())


class AnimeGan3(nn.Module):
    """`jaxstyle.models.animegan3.AnimeGan3`."""

    def __init__(self):
        super().__init__()
        self.x0 = ConvLade(3, 32, 7)
        self.x1_down, self.x1 = ConvLade(32, 32, down=True), ConvLade(32, 64)
        self.x2_down, self.x2 = ConvLade(64, 64, down=True), ConvLade(64, 128)
        self.x3_down, self.x3 = ConvLade(128, 128, down=True), ConvLade(128, 128)
        self.main = AnimeGan3Tail()

    def forward(self, x: Tensor) -> Tensor:
        """[N, 3, H, W] to the same."""
        x0 = self.x0(x.to(self.main.out.weight.dtype))
        x1 = self.x1(self.x1_down(x0))
        x2 = self.x2(self.x2_down(x1))
        return self.main(x0, x1, x2, self.x3(self.x3_down(x2)))


GENERATORS = {
    "animegan2": AnimeGan2,
    "animegan3": AnimeGan3,
    "microast": MicroAst,
    "realtime": Realtime,
    "resnet": Resnet,
}
# How PyTorch calls the leaves that it has a name for.
_LEAVES = {"kernel": "weight", "scale": "weight"}


def build(generator: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> nn.Module:
    """The network of a generator's config with Flax parameters, {"stem/kernel": array, ...}.

    "condition", or the leaves of one ("condition/0/mean"), is the style that it is to paint.
    """
    options = {k: v for k, v in generator.items() if k not in ("name", "dtype")}
    if generator["name"] not in GENERATORS:
        raise RuntimeError(f"{generator['name']} is not written in PyTorch here")
    model = GENERATORS[generator["name"]](**options).eval()
    load_flax(model, weights)
    return model


def load_flax(model: nn.Module, weights: Mapping[str, np.ndarray]) -> None:
    """Gives a network here the Flax parameters of its counterpart, by their path."""
    state = {}
    for path, value in weights.items():
        *modules, kind = path.split("/")
        if kind == "kernel":
            # HWIO to OIHW, or IO to OI.
            value = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
        name = ".".join([*modules, _LEAVES.get(kind, kind)])
        state[name] = torch.from_numpy(np.ascontiguousarray(value))
    model.load_state_dict(state)
