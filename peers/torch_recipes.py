"""One training step of two of jaxstyle's recipes, as one would write it in PyTorch.

`RealtimeStep` is the step of configs/anime.py, `AnimeGan2Step` that of configs/animegan2.py: the
networks, losses, optimizers and their order are those of `jaxstyle.training.steps.train_step`, so
that from the same parameters, batch and random draws both come to the same parameters.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch_discriminators import AnimeGan2Discriminator, PatchDiscriminator
from torch_features import ProjectionHeads, Vgg19
from torch_losses import (
    flipped,
    gram_matrix,
    in_grey,
    jittered,
    lsgan,
    palette_distance,
    patch_nce,
    smooth_flow,
    total_variation,
    warped,
    yuv_color_loss,
)
from torch_models import AnimeGan2, Realtime, load_flax

_MARGIN = 8  # pixels at the border of a crop that are not compared

Terms = dict[str, Tensor]
Arrays = Mapping[str, np.ndarray]


class Draws:
    """What a step draws at random, on the device of what it is drawn for."""

    def __init__(self, device: torch.device):
        self._device = device

    def flips(self, count: int) -> Tensor:
        """Which images to mirror, bool [N]."""
        return torch.rand(count, device=self._device) < 0.5

    def jitter(self, count: int) -> Tensor:
        """For brightness, contrast and saturation, [3, N] in [-1, 1)."""
        return 2 * torch.rand(3, count, device=self._device) - 1

    def positions(self, places: int, count: int) -> Tensor:
        """Different places in a feature map, int64 [min(count, places)]."""
        return torch.randperm(places, device=self._device)[:count]

    def offset(self, largest: int) -> tuple[int, int]:
        """Where a crop begins, (top, left) in [0, largest]."""
        top, left = torch.randint(largest + 1, (2,)).tolist()
        return top, left

    def flow_grid(self, count: int) -> Tensor:
        """Standard normal displacements, (x, y), [N, 2, 4, 4]."""
        return torch.randn(count, 2, 4, 4, device=self._device)

    def noise_like(self, x: Tensor) -> Tensor:
        """Standard normal noise of the shape of x."""
        return torch.randn_like(x)

    def directions(self) -> Tensor:
        """In the space of colours, as the columns of [3, 32]; of any length."""
        return torch.randn(3, 32, device=self._device)


class _Step:
    """What the two recipes have in common; a subclass has `generator_terms` and `fakes`.

    config: the recipe, as nested dicts. arrays: parameters by path, "generator/stem/kernel".
    compiled: networks are `torch.compile`d.
    """

    generator: nn.Module
    discriminator: nn.Module

    def __init__(
        self,
        config: Mapping[str, Any],
        arrays: Arrays,
        trained: Mapping[str, nn.Module],
        discriminator: nn.Module,
        device: torch.device,
        compiled: bool,
    ):
        self.config, self.losses, self.draws = config, config["losses"], Draws(device)
        self.networks = {**trained, "discriminator": discriminator}
        for name, network in self.networks.items():
            load_flax(network, _below(arrays, name))
            network.to(device, memory_format=torch.channels_last)
        wrapped = torch.compile if compiled else lambda network: network
        self.generator = wrapped(trained["generator"])
        self.discriminator = wrapped(discriminator)
        self.generator_parameters = [p for m in trained.values() for p in m.parameters()]
        self.discriminator_parameters = list(discriminator.parameters())
        self.averaged = list(trained["generator"].parameters())
        self.ema = [p.detach().clone() for p in self.averaged]
        self.generator_adam = _adam(self.generator_parameters, config["optimizer"]["generator"])
        self.discriminator_adam = _adam(
            self.discriminator_parameters, config["optimizer"]["discriminator"]
        )
        self.count = 0

    def step(self, batch: Mapping[str, Tensor]) -> Terms:
        """Updates all networks from a batch of uint8 [N, 3, S, S]; returns the step's figures."""
        images = self._augmented(batch)
        of_generator, fake = self._update_generator(images)
        of_discriminator = self._update_discriminator(images, fake.detach())
        self.count += 1
        metrics = {f"g/{name}": value.detach() for name, value in of_generator.items()}
        return metrics | {f"d/{name}": value.detach() for name, value in of_discriminator.items()}

    def _update_generator(self, images: Mapping[str, Tensor]) -> tuple[Terms, Tensor]:
        self.discriminator.requires_grad_(False)
        terms, fake = self.generator_terms(images)
        total = sum(self.losses[name]["weight"] * value for name, value in terms.items())
        norm = _descend(self.generator_adam, total, self.generator_parameters)
        decay = min(self.config["ema_decay"], (1 + self.count) / (10 + self.count))
        with torch.no_grad():
            for average, parameter in zip(self.ema, self.averaged, strict=True):
                average.lerp_(parameter, 1 - decay)
        return {**terms, "total": total, "gradient_norm": norm}, fake

    def _update_discriminator(self, images: Mapping[str, Tensor], fake: Tensor) -> Terms:
        self.discriminator.requires_grad_(True)
        batches = {"real": images["style"], "fake": fake, **self.fakes(images)}
        logits = self.discriminator(torch.cat(list(batches.values())), update_stats=True)
        judged = zip(batches, logits.chunk(len(batches)), strict=True)
        terms = {name: lsgan(values, float(name == "real")) for name, values in judged}
        weights = self.losses["adversarial"]
        total = sum(weights[f"{name}_weight"] * value for name, value in terms.items())
        norm = _descend(self.discriminator_adam, total, self.discriminator_parameters)
        return {**terms, "total": total, "gradient_norm": norm}

    def generator_terms(self, images: Mapping[str, Tensor]) -> tuple[Terms, Tensor]:
        """The terms of the generator's loss before their weights, and its result."""
        raise NotImplementedError

    def fakes(self, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the discriminator is to reject beside the generator's result."""
        raise NotImplementedError

    def _augmented(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        images = {name: pixels.float() / 127.5 - 1 for name, pixels in batch.items()}
        count = len(images["content"])
        data = self.config["data"]
        if data["flip"]:
            of_content, of_style = self.draws.flips(count), self.draws.flips(count)
            for name, values in images.items():
                images[name] = flipped(values, of_content if name == "content" else of_style)
        strengths = [data[name] for name in ("brightness", "contrast", "saturation")]
        if any(strengths):
            content = images["content"]
            strengths = torch.tensor(strengths, device=content.device)
            images["content"] = jittered(content, self.draws.jitter(count), strengths)
        return images


class RealtimeStep(_Step):
    """The step of configs/anime.py."""

    def __init__(
        self, config: Mapping[str, Any], arrays: Arrays, device: torch.device, compiled: bool
    ):
        nce = config["losses"]["patch_nce"]
        generator = Realtime(config["generator"]["size"])
        channels = [generator.stem.out_channels] * len(nce["layers"])
        self.heads = ProjectionHeads(channels, nce["width"])
        of_discriminator = config["discriminator"]
        discriminator = PatchDiscriminator(of_discriminator["width"], of_discriminator["layers"])
        trained = {"generator": generator, "heads": self.heads}
        super().__init__(config, arrays, trained, discriminator, device, compiled)

    def generator_terms(self, images: Mapping[str, Tensor]) -> tuple[Terms, Tensor]:
        """As in `_Step`."""
        content, losses = images["content"], self.losses
        fake, maps = self.generator(content, return_features=True)
        terms = {
            "adversarial": lsgan(self.discriminator(fake), 1.0),
            "patch_nce": self._patch_nce(fake, maps),
            "total_variation": total_variation(fake, squared=False),
            "palette": palette_distance(
                fake,
                images["style"],
                self.draws.directions(),
                losses["palette"]["block"],
            ),
            "shift": self._shift(fake, content),
            "warp": self._warp(fake, content),
        }
        return terms, fake

    def _patch_nce(self, fake: Tensor, maps: list[Tensor]) -> Tensor:
        settings = self.losses["patch_nce"]
        _, fake_maps = self.generator(fake, return_features=True)
        reference = [maps[i].detach() for i in settings["layers"]]
        positions = [self.draws.positions(m[0, 0].numel(), settings["patches"]) for m in reference]
        query = self.heads([fake_maps[i] for i in settings["layers"]], positions)
        with torch.no_grad():
            reference = self.heads(reference, positions)
        pairs = zip(query, reference, strict=True)
        losses = [patch_nce(q, r, settings["temperature"]) for q, r in pairs]
        return sum(losses) / len(losses)

    def _shift(self, fake: Tensor, content: Tensor) -> Tensor:
        pixels = self.losses["shift"]["pixels"]
        size = content.shape[-1] - pixels
        top, left = self.draws.offset(pixels)
        window = (..., slice(top, top + size), slice(left, left + size))
        return _compared(self.generator(content[window]), fake[window])

    def _warp(self, fake: Tensor, content: Tensor) -> Tensor:
        settings = self.losses["warp"]
        grid = settings["pixels"] * self.draws.flow_grid(len(content))
        flow = smooth_flow(grid, *content.shape[2:])
        noise = settings["noise"] * self.draws.noise_like(content)
        moved = self.generator(warped(content, flow) + noise)
        return _compared(warped(fake, flow), moved)

    def fakes(self, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """As in `_Step`."""
        return {"smooth": images["style_smooth"]}


class AnimeGan2Step(_Step):
    """The step of configs/animegan2.py after its initial steps."""

    def __init__(
        self, config: Mapping[str, Any], arrays: Arrays, device: torch.device, compiled: bool
    ):
        trained = {"generator": AnimeGan2()}
        super().__init__(config, arrays, trained, AnimeGan2Discriminator(), device, compiled)
        features = Vgg19()
        load_flax(features, _below(arrays, "features"))
        features.to(device, memory_format=torch.channels_last)
        self.see = torch.compile(features) if compiled else features

    def generator_terms(self, images: Mapping[str, Tensor]) -> tuple[Terms, Tensor]:
        """As in `_Step`."""
        content = images["content"]
        fake = self.generator(content)
        seen = self.see(fake)
        with torch.no_grad():
            seen_content = self.see(content)
            texture = gram_matrix(self.see(in_grey(images["style"])))
        terms = {
            "adversarial": lsgan(self.discriminator(fake), 1.0),
            "perceptual": (seen - seen_content).abs().mean(),
            "color": yuv_color_loss(fake, content),
            "total_variation": total_variation(fake, squared=True),
            "gram": (gram_matrix(seen) - texture).abs().mean(),
        }
        return terms, fake

    def fakes(self, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """As in `_Step`."""
        return {"smooth": in_grey(images["style_smooth"]), "grey": in_grey(images["style"])}


RECIPES: dict[str, Callable[..., _Step]] = {"realtime": RealtimeStep, "animegan2": AnimeGan2Step}


def _below(arrays: Arrays, name: str) -> dict[str, np.ndarray]:
    prefix = f"{name}/"
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _adam(parameters: list[Tensor], settings: Mapping[str, Any]) -> torch.optim.Optimizer:
    betas = (settings["b1"], settings["b2"])
    return torch.optim.Adam(parameters, settings["learning_rate"], betas)


def _descend(optimizer: torch.optim.Optimizer, total: Tensor, parameters: list[Tensor]) -> Tensor:
    """Takes a step down the gradient of `total`; returns its norm."""
    optimizer.zero_grad(set_to_none=True)
    total.backward()
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters])
    optimizer.step()
    return norm


def _compared(a: Tensor, b: Tensor) -> Tensor:
    inside = slice(_MARGIN, -_MARGIN)
    return (a - b)[..., inside, inside].abs().mean()
