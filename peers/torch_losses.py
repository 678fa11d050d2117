"""The terms of two of jaxstyle's recipes in PyTorch; see `jaxstyle.losses` for what they are.

Images are NCHW, float32 in [-1, 1]; all but the functions that change images give a scalar.
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

_RGB_TO_YUV = (
    (0.299, 0.587, 0.114),
    (-0.14714119, -0.28886916, 0.43601035),
    (0.61497538, -0.51496512, -0.10001026),
)


@functools.cache
def _yuv_weights(device: torch.device) -> Tensor:
    return torch.tensor(_RGB_TO_YUV, device=device)[..., None, None]


def in_grey(x: Tensor) -> Tensor:
    """The luma in all three channels."""
    return F.conv2d(x, _yuv_weights(x.device)[:1]).expand_as(x)


def flipped(x: Tensor, mirror: Tensor) -> Tensor:
    """Mirrors left to right the images where `mirror`, bool [N], says so."""
    return torch.where(mirror[:, None, None, None], x.flip(3), x)


def jittered(x: Tensor, draws: Tensor, strengths: Tensor) -> Tensor:
    """Changes brightness, contrast and saturation; draws [3, N] in [-1, 1], strengths [3]."""
    factors = 1 + strengths[:, None] * draws
    brighten, stretch, saturate = factors[..., None, None, None]
    luma = _yuv_weights(x.device)[:1]
    x = (x + 1) / 2 * brighten
    mean_grey = F.conv2d(x, luma).mean((2, 3), keepdim=True)
    x = mean_grey + (x - mean_grey) * stretch
    grey = F.conv2d(x, luma)
    x = grey + (x - grey) * saturate
    return (2 * x - 1).clamp(-1, 1)


def lsgan(logits: Tensor, label: float) -> Tensor:
    """Mean squared distance to the label."""
    return (logits - label).square().mean()


def patch_nce(query: Tensor, reference: Tensor, temperature: float) -> Tensor:
    """InfoNCE of unit vectors [N, P, C], positives in the same place."""
    logits = query @ reference.transpose(1, 2) / temperature
    places = torch.arange(logits.shape[1], device=logits.device).expand(logits.shape[:2])
    return F.cross_entropy(logits.flatten(0, 1), places.flatten())


def palette_distance(output: Tensor, style: Tensor, directions: Tensor, block: int) -> Tensor:
    """Sliced Wasserstein distance of block means; directions [3, D], of any length."""
    directions = F.normalize(directions, dim=0)

    def sorted_along_directions(images: Tensor) -> Tensor:
        colors = F.avg_pool2d(images, block).permute(0, 2, 3, 1).reshape(-1, 3)
        return torch.sort(colors @ directions, dim=0).values

    return F.l1_loss(sorted_along_directions(output), sorted_along_directions(style))


def total_variation(x: Tensor, squared: bool) -> Tensor:
    """Mean of vertical neighbours' differences plus that of horizontal ones'."""
    penalty = torch.square if squared else torch.abs
    vertical = penalty(x[:, :, 1:] - x[:, :, :-1]).mean()
    return vertical + penalty(x[..., 1:] - x[..., :-1]).mean()


def smooth_flow(grid: Tensor, height: int, width: int) -> Tensor:
    """Displacements [N, 2, 4, 4] in pixels, (x, y), interpolated to [N, 2, H, W]."""
    return F.interpolate(grid, (height, width), mode="bilinear", align_corners=False)


def warped(x: Tensor, flow: Tensor) -> Tensor:
    """Samples x where the flow [N, 2, H, W] points, clamped at the border."""
    h, w = x.shape[2:]
    rows = torch.arange(h, device=x.device, dtype=torch.float32)[:, None]
    columns = torch.arange(w, device=x.device, dtype=torch.float32)
    across = (columns + flow[:, 0]) * (2 / (w - 1)) - 1
    down = (rows + flow[:, 1]) * (2 / (h - 1)) - 1
    grid = torch.stack([across, down], dim=-1)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=True)


def gram_matrix(features: Tensor) -> Tensor:
    """[N, C, h, w] to products of channels over C h w, [N, C, C]."""
    pixels = features.flatten(2)
    return pixels @ pixels.transpose(1, 2) / pixels[0].numel()


def yuv_color_loss(output: Tensor, reference: Tensor) -> Tensor:
    """L1 of Y plus Huber of U and V."""
    weights = _yuv_weights(output.device)
    a, b = (F.conv2d((x + 1) / 2, weights) for x in (output, reference))
    huber = F.huber_loss(a[:, 1:], b[:, 1:], reduction="none").mean((0, 2, 3)).sum()
    return F.l1_loss(a[:, 0], b[:, 0]) + huber
