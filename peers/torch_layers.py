"""What several of the generators in PyTorch have in common."""

import torch.nn.functional as F
from torch import Tensor


def reflected(x: Tensor, beside: int) -> Tensor:
    """[N, C, H, W] padded by reflection, by `beside` pixels on every side."""
    return F.pad(x, (beside,) * 4, mode="reflect")


def upsampled(x: Tensor, align_corners: bool = False) -> Tensor:
    """[N, C, H, W] to [N, C, 2H, 2W], bilinear, the pixels' centres aligned or the corners."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=align_corners)
