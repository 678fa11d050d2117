"""What the discriminators minimise."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import FrozenConfigDict

from jaxstyle.data.augment import keys_of_images
from jaxstyle.losses import adversarial
from jaxstyle.losses.color import rgb_to_grey
from jaxstyle.training.objectives.generator import SUPPORT_LABELS
from jaxstyle.training.objectives.outputs import Images, Players

Terms = dict[str, jax.Array]


def discriminator_terms(
    players: Players,
    pairs: Mapping[str, tuple[jax.Array, jax.Array]],
    images: Images,
    key: jax.Array,
    *,
    use_r1: bool,
) -> tuple[Terms, dict[str, Any]]:
    """Each term of the discriminators' losses, and their new spectral norm estimates.

    pairs: (real, fake) images by the discriminator's name; those of others than "main" name their
    terms "backward/real". images: those of the batch, with "index", see `keys_of_images`.
    """
    terms: Terms = {}
    stats = {}
    for i, (name, (real, fake)) in enumerate(pairs.items()):
        found, stats[name] = _terms_of_one(
            name, players, real, fake, images, jax.random.fold_in(key, i), use_r1
        )
        prefix = "" if name == "main" else f"{name}/"
        terms |= {f"{prefix}{term}": value for term, value in found.items()}
    return terms, stats


def _terms_of_one(
    name: str,
    players: Players,
    real: jax.Array,
    fake: jax.Array,
    images: Images,
    key: jax.Array,
    use_r1: bool,
) -> tuple[Terms, Any]:
    losses = players.config.losses
    batches = {"real": real, "fake": fake, **_further_fakes(name, images, losses)}
    logits, stats = _logits(name, players, batches, images)
    kind = losses.adversarial.kind
    terms: Terms = {}
    for batch, values in logits.items():
        if name == "support":
            label = SUPPORT_LABELS[0] if batch == "real" else SUPPORT_LABELS[1]
            terms[batch] = jnp.square(values - label).mean()
        else:
            loss = adversarial.real_loss if batch == "real" else adversarial.fake_loss
            terms[batch] = loss(kind, values)

    def judge(x):
        return players.judge(name, x, images)

    if use_r1:
        terms["r1"] = adversarial.r1_penalty(judge, real)
    if losses.gradient_penalty.weight > 0:
        keys = keys_of_images(key, images["index"])
        terms["gradient_penalty"] = adversarial.gradient_penalty(judge, real, fake, keys)
    if losses.drift.weight > 0:
        terms["drift"] = jnp.square(logits["real"]).mean()
    return terms, stats


def _further_fakes(name: str, images: Images, losses) -> dict[str, jax.Array]:
    """Style frames that are to be rejected for what they lack: crisp edges, or colour."""
    fakes = {}
    if name == "support" and losses.support.smooth_weight > 0:
        fakes["smooth"] = rgb_to_grey(images["style_smooth"])
    if name != "main":
        return fakes
    if losses.adversarial.smooth_weight > 0:
        smooth, in_grey = images["style_smooth"], losses.adversarial.smooth_grey
        fakes["smooth"] = rgb_to_grey(smooth, channels=3) if in_grey else smooth
    if losses.adversarial.grey_weight > 0:
        fakes["grey"] = rgb_to_grey(images["style"], channels=3)
    return fakes


def _logits(
    name: str, players: Players, batches: dict[str, jax.Array], images: Images
) -> tuple[dict[str, jax.Array], Any]:
    """Each batch's logits, and the new estimates."""
    couples = getattr(players.networks.discriminators[name], "couples_images", False)
    if not couples:
        # All at once is faster, and moves the estimates once.
        count = len(batches)
        repeated = {key: jnp.concatenate([value] * count) for key, value in images.items()}
        logits, stats = players.judge(
            name, jnp.concatenate(list(batches.values())), repeated, update_stats=True
        )
        return dict(zip(batches, jnp.split(logits, count), strict=True)), stats
    logits = {}
    for batch, values in batches.items():
        logits[batch], stats = players.judge(name, values, images, update_stats=True)
        players = dataclasses.replace(players, stats={**players.stats, name: stats})
    return logits, players.stats[name]


def term_weight(name: str, config: FrozenConfigDict) -> float:
    """The weight of a discriminator's term, its schedule aside."""
    judge, _, name = name.rpartition("/")
    losses = config.losses
    if name in ("real", "fake", "smooth", "grey"):
        return losses["support" if judge == "support" else "adversarial"][f"{name}_weight"]
    # R1 is computed every few steps only, and makes up for it by its size (Karras et al. 2020).
    lazy = losses.r1.every if name == "r1" else 1
    return losses[name].weight * lazy
