"""jaxstyle's discriminators as one would write them in PyTorch.

Submodules are named as in `jaxstyle.models`, so that a parameter's path is the same in both. NCHW,
float32 images in [-1, 1] in, float32 logits [N, 1, h, w] out. With `update_stats` the estimates of
the spectral norms move, as in Flax: each call takes a step of the power iteration, and only such
calls keep it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SpectralConv(nn.Conv2d):
    """A convolution whose kernel, as a matrix, is divided by its spectral norm.

    Miyato et al. (2018). u: the estimate of the left singular vector, [1, outputs].
    """

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.register_buffer("u", torch.zeros(1, self.out_channels))

    def forward(self, x: Tensor, update_stats: bool = False) -> Tensor:
        """[N, C, H, W] to [N, outputs, h, w]."""
        matrix = self.weight.flatten(1)
        with torch.no_grad():
            v = F.normalize(self.u @ matrix)
            u = F.normalize(v @ matrix.t())
            if update_stats:
                self.u.copy_(u)
        sigma = torch.vdot(u[0], matrix @ v[0])
        return self._conv_forward(x, self.weight / sigma, self.bias)


class PatchDiscriminator(nn.Module):
    """`jaxstyle.models.patch.PatchDiscriminator` with layer norm and spectral norm."""

    def __init__(self, width: int, layers: int):
        super().__init__()
        self.layers = layers
        inputs = 3
        for i in range(layers + 1):
            outputs = width * min(2**i, 8)
            stride = 2 if i < layers else 1
            self.add_module(f"conv{i}", SpectralConv(inputs, outputs, 4, stride, padding=1))
            if i > 0:
                self.add_module(f"norm{i}", nn.GroupNorm(1, outputs))
            inputs = outputs
        self.logits = SpectralConv(inputs, 1, 4, padding=1)

    def forward(self, x: Tensor, update_stats: bool = False) -> Tensor:
        """[N, 3, H, W] to logits."""
        for i in range(self.layers + 1):
            x = getattr(self, f"conv{i}")(x, update_stats)
            if i > 0:
                x = getattr(self, f"norm{i}")(x)
            x = F.leaky_relu(x, 0.2)
        return self.logits(x, update_stats)


class AnimeGan2Discriminator(nn.Module):
    """`jaxstyle.models.animegan2.AnimeGan2Discriminator`."""

    def __init__(self):
        super().__init__()

        def conv(inputs: int, outputs: int, stride: int = 1) -> SpectralConv:
            return SpectralConv(inputs, outputs, 3, stride, padding=1, bias=False)

        self.conv0, self.conv1 = conv(3, 32), conv(32, 64, stride=2)
        self.conv2, self.norm2 = conv(64, 128), nn.GroupNorm(1, 128)
        self.conv3 = conv(128, 128, stride=2)
        self.conv4, self.norm4 = conv(128, 256), nn.GroupNorm(1, 256)
        self.conv5, self.norm5 = conv(256, 256), nn.GroupNorm(1, 256)
        self.conv6 = conv(256, 1)

    def forward(self, x: Tensor, update_stats: bool = False) -> Tensor:
        """[N, 3, H, W] to logits."""
        x = F.leaky_relu(self.conv0(x, update_stats), 0.2)
        x = F.leaky_relu(self.conv1(x, update_stats), 0.2)
        x = F.leaky_relu(self.norm2(self.conv2(x, update_stats)), 0.2)
        x = F.leaky_relu(self.conv3(x, update_stats), 0.2)
        x = F.leaky_relu(self.norm4(self.conv4(x, update_stats)), 0.2)
        x = F.leaky_relu(self.norm5(self.conv5(x, update_stats)), 0.2)
        return self.conv6(x, update_stats)
