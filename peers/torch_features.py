"""What training looks through, in PyTorch: VGG-19's features and PatchNCE's projection heads."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

_VGG19 = {
    "conv1_1": 64,
    "conv1_2": 64,
    "conv2_1": 128,
    "conv2_2": 128,
    "conv3_1": 256,
    "conv3_2": 256,
    "conv3_3": 256,
    "conv3_4": 256,
    "conv4_1": 512,
    "conv4_2": 512,
    "conv4_3": 512,
    "conv4_4": 512,
}


class Vgg19(nn.Module):
    """`jaxstyle.features.vgg.VGG19` as far as conv4_4, which is not trained."""

    def __init__(self):
        super().__init__()
        self.input = nn.Linear(3, 3)  # the preprocessing
        inputs = 3
        for name, outputs in _VGG19.items():
            self.add_module(name, nn.Conv2d(inputs, outputs, 3, padding=1))
            inputs = outputs
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """RGB in [-1, 1], [N, 3, H, W], to conv4_4 before its activation, [N, 512, H/8, W/8]."""
        x = self.input(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        previous = "conv1"
        for name in _VGG19:
            block = name.partition("_")[0]
            if block != previous:
                x = F.max_pool2d(x, 2)
                previous = block
            x = getattr(self, name)(x)
            if name != "conv4_4":
                x = F.relu(x)
        return x


class ProjectionHeads(nn.Module):
    """`jaxstyle.models.projection.ProjectionHeads` for maps of the given channels."""

    def __init__(self, channels: Sequence[int], width: int):
        super().__init__()
        for i, inputs in enumerate(channels):
            self.add_module(f"hidden_{i}", nn.Linear(inputs, width))
            self.add_module(f"out_{i}", nn.Linear(width, width))

    def forward(self, maps: Sequence[Tensor], positions: Sequence[Tensor]) -> list[Tensor]:
        """Maps [N, C, H, W] at flat indices [P] to unit vectors [N, P, width], for each map."""
        projected = []
        for i, (features, index) in enumerate(zip(maps, positions, strict=True)):
            # In channels-last memory, a view.
            x = features.permute(0, 2, 3, 1).flatten(1, 2)[:, index]
            x = F.relu(getattr(self, f"hidden_{i}")(x))
            projected.append(F.normalize(getattr(self, f"out_{i}")(x), dim=-1))
        return projected
