"""AnimeGANv3's second tail (Liu et al. 2023): how it is built, what it paints, and its terms.

The support tail learns the style, of grey pictures; the main one is to look like the support's
picture without its grain. All of it is here: `build_networks` calls `build`, `run_generators` calls
`paint`, and the tables of terms have these at their end. Its settings are `config.losses.support`.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
from ml_collections import FrozenConfigDict

from jaxstyle.errors import UserError
from jaxstyle.losses import color, perceptual
from jaxstyle.losses.smoothing import guided_filter, l0_smooth, superpixels
from jaxstyle.models import build_discriminator
from jaxstyle.models.animegan3 import AnimeGan3, AnimeGan3Tail
from jaxstyle.training.objectives.players import Images, Outputs, Players
from jaxstyle.training.objectives.term import Term

# AnimeGANv3 asks its support discriminator for these instead of 1 for real and 0 for fake.
_REAL, _FAKE = 0.9, 0.1
# It judges the tail's pictures without their finest grain.
_GUIDED_RADIUS = 2
_GUIDED_EPSILON = 4e-2  # 0.01 of pixels in [0, 1]


@flax.struct.dataclass
class Support:
    """picture: float32 [N, S, S, 3], its grain filtered out. seen: its feature maps at `layer`."""

    picture: jax.Array
    seen: jax.Array


def build(generator: nn.Module, config: FrozenConfigDict) -> tuple[nn.Module, nn.Module]:
    """The tail and its discriminator. Raises `UserError` where there can be none."""
    if not config.losses.support.weight:
        raise UserError("config.losses.smoothed_support needs config.losses.support")
    if not isinstance(generator, AnimeGan3):
        raise UserError("config.losses.support is for the generator animegan3 only")
    return AnimeGan3Tail(dtype=generator.dtype), build_discriminator(config.discriminator)


def paint(players: Players, outputs: Outputs, images: Images) -> Outputs:
    """Adds what the tail paints, and has both discriminators judge by it."""
    tail = players.networks.helpers["support"]
    painted: Any = tail.apply({"params": players.helpers["support"]}, outputs.maps)
    picture = guided_filter(painted, painted, _GUIDED_RADIUS, _GUIDED_EPSILON)
    smooth = jax.lax.stop_gradient(l0_smooth(painted))
    style = images["style"]
    return dataclasses.replace(
        outputs,
        support=Support(picture, _seen(players, picture, players.config.losses.support)),
        targets={"support": smooth},
        pairs={
            "main": (smooth, outputs.fake),
            "support": (color.rgb_to_grey(style), color.rgb_to_grey(picture)),
        },
    )


def _seen(players, picture, settings):
    return players.see(picture, (settings.layer,))[settings.layer]


# ---- The generator's terms -----------------------------------------------------------------------


def _adversarial(players, outputs, images, settings, key):
    _, fake = outputs.pairs["support"]
    return jnp.square(players.judge("support", fake, images) - _REAL).mean()


def _perceptual(players, outputs, images, settings, key):
    seen = _seen(players, images["content"], settings)
    return perceptual.content_l1(seen, outputs.support.seen)


def _gram(players, outputs, images, settings, key):
    """Texture alone: from grey, and of features less their means over the picture."""
    layers, weights = settings.gram_layers, settings.gram_layer_weights
    maps, style = (
        players.see(color.rgb_to_grey(x, channels=3), layers)
        for x in (outputs.support.picture, images["style"])
    )
    losses = [
        weight * perceptual.gram_l1(_centred(maps[layer]), _centred(style[layer]))
        for layer, weight in zip(layers, weights, strict=True)
    ]
    return sum(losses[1:], losses[0])


def _centred(maps):
    return maps - maps.mean(axis=(1, 2), keepdims=True)


def _superpixels(players, outputs, images, settings, key):
    """Flat regions: its own, and the content's."""
    losses = [
        perceptual.content_l1(_seen(players, superpixels(x), settings), outputs.support.seen)
        for x in (outputs.support.picture, images["content"])
    ]
    return sum(losses[1:], losses[0])


def _color(players, outputs, images, settings, key):
    return color.lab_color_loss(outputs.support.picture, images["content"])


def _total_variation(players, outputs, images, settings, key):
    return color.total_variation(outputs.support.picture, squared=True)


def _smoothed(players, outputs, images, settings, key):
    return jnp.abs(outputs.fake - outputs.targets["support"]).mean()


def _layers(settings: Any) -> tuple[str, ...]:
    return (*settings.gram_layers, settings.layer)


def _term(part: str, function: Callable, side: Any = "") -> Term:
    return Term(
        f"support/{part}",
        function,
        side,
        needs=("content", "support tail"),
        layers=_layers,
        entry="support",
        weight=lambda settings: settings.weight * settings[part],
    )


_PERCEPTUAL = _term("perceptual", _perceptual, "content")

TERMS = (
    _term("adversarial", _adversarial, "style"),
    _PERCEPTUAL,
    _term("gram", _gram, "style"),
    _term("superpixels", _superpixels),
    _term("color", _color, "content"),
    _term("total_variation", _total_variation),
    Term("smoothed_support", _smoothed, needs=("content", "support tail")),
)
# While the generator only learns to reproduce.
INITIAL_TERMS = (_PERCEPTUAL,)


# ---- Its discriminator's terms -------------------------------------------------------------------


def _real(judged, settings, key):
    return jnp.square(judged.logits["real"] - _REAL).mean()


def _fake(judged, settings, key):
    return jnp.square(judged.logits["fake"] - _FAKE).mean()


def _smooth(judged, settings, key):
    return jnp.square(judged.logits["smooth"] - _FAKE).mean()


def _smooth_frames(images, settings):
    return color.rgb_to_grey(images["style_smooth"])


def _judgement(name: str, function: Callable, **fields: Any) -> Term:
    return Term(
        name,
        function,
        entry="support",
        weight=lambda settings: settings[f"{name}_weight"] if settings.weight else 0.0,
        **fields,
    )


DISCRIMINATOR_TERMS = (
    _judgement("real", _real),
    _judgement("fake", _fake),
    _judgement("smooth", _smooth, needs=("smooth frames",), fakes=_smooth_frames),
)
