"""`jaxstyle.models.microast.MicroAst` in PyTorch, with grouped convolutions as published."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_layers import reflected, upsampled


def _grouped_conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, groups=min(inputs, outputs))


class ModulatedBlock(nn.Module):
    """x + conv(relu(conv(x))), its filters modulated if a weight and a bias are given."""

    def __init__(self, width: int):
        super().__init__()
        self.conv0 = nn.Conv2d(width, width, 3)
        self.conv1 = nn.Conv2d(width, width, 3)

    def forward(self, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None):
        """x: [N, C, H, W]. weight, bias: [1, C, 1, 1]. Returns the shape of x."""

        def modulated(conv: nn.Conv2d, x: Tensor) -> Tensor:
            y = conv(reflected(x, 1))
            return y if weight is None else weight * y + bias * x

        return x + modulated(self.conv1, F.relu(modulated(self.conv0, x)))


class MicroAstEncoder(nn.Module):
    """`jaxstyle.models.microast.Encoder`, its last feature map alone."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 9)
        self.down0, self.mix0 = _grouped_conv(16, 32, stride=2), nn.Conv2d(32, 32, 1)
        self.down1, self.mix1 = _grouped_conv(32, 64, stride=2), nn.Conv2d(64, 64, 1)
        self.residual0, self.residual1 = ModulatedBlock(64), ModulatedBlock(64)

    def forward(self, x: Tensor) -> Tensor:
        """[N, 3, H, W] to [N, 64, H/4, W/4]."""
        y = F.relu(self.conv(reflected(x * 0.5 + 0.5, 4)))
        y = F.relu(self.mix0(F.relu(self.down0(reflected(y, 1)))))
        y = F.relu(self.mix1(F.relu(self.down1(reflected(y, 1)))))
        return self.residual1(self.residual0(y))


class MicroAstDecoder(nn.Module):
    """`jaxstyle.models.microast.Decoder`."""

    def __init__(self):
        super().__init__()
        self.residual0, self.residual1 = ModulatedBlock(64), ModulatedBlock(64)
        self.up0, self.mix0 = _grouped_conv(64, 32), nn.Conv2d(32, 32, 1)
        self.up1, self.mix1 = _grouped_conv(32, 16), nn.Conv2d(16, 16, 1)
        self.out = nn.Conv2d(16, 3, 9)

    def forward(self, y: Tensor, condition: nn.ModuleList) -> Tensor:
        """[N, 64, h, w] and the style's two levels to [N, 3, 4h, 4w]."""
        for block, level in ((self.residual0, condition[1]), (self.residual1, condition[0])):
            style = {name: value[..., None, None] for name, value in level.named_buffers()}
            variance, mean = torch.var_mean(y, (2, 3), keepdim=True)
            gain = style["std"] / (variance + 1e-5).sqrt()
            y = block(y * gain + (style["mean"] - mean * gain), style["weight"], style["bias"])
        y = F.relu(self.mix0(F.relu(self.up0(reflected(upsampled(y), 1)))))
        y = F.relu(self.mix1(F.relu(self.up1(reflected(upsampled(y), 1)))))
        return self.out(reflected(y, 4)).float() * 2 - 1


class MicroAstStyle(nn.Module):
    """One level of an encoded style, as `jaxstyle.models.microast.MicroAst.encode_style` gives."""

    def __init__(self):
        super().__init__()
        for name in ("mean", "std", "weight", "bias"):
            self.register_buffer(name, torch.zeros(1, 64))


class MicroAst(nn.Module):
    """`jaxstyle.models.microast.MicroAst` with a style that is encoded already."""

    def __init__(self):
        super().__init__()
        self.content_encoder, self.decoder = MicroAstEncoder(), MicroAstDecoder()
        self.condition = nn.ModuleList([MicroAstStyle(), MicroAstStyle()])

    def forward(self, x: Tensor) -> Tensor:
        """[N, 3, H, W] to the same."""
        x = x.to(self.decoder.out.weight.dtype)
        return self.decoder(self.content_encoder(x), self.condition)

    def load_state_dict(self, state: dict[str, Tensor]):
        """Leaves out what encodes a style."""
        parts = ("content_encoder", "decoder", "condition")
        return super().load_state_dict(
            {name: value for name, value in state.items() if name.startswith(parts)}
        )
