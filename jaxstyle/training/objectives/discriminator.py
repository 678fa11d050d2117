"""What the discriminators minimise: one function a term, and the table that a config chooses from.

For how to add one, see `jaxstyle.training.objectives`.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, cast

import jax
import jax.numpy as jnp

from jaxstyle.data.augment import keys_of_images
from jaxstyle.losses import adversarial
from jaxstyle.losses.adversarial import Logits
from jaxstyle.losses.color import rgb_to_grey
from jaxstyle.training.objectives import support_tail
from jaxstyle.training.objectives.players import Images, Pairs, Players
from jaxstyle.training.objectives.term import Config, Term, constant, named_key
from jaxstyle.training.objectives.views import shown


@dataclasses.dataclass(frozen=True)
class Judged:
    """What one discriminator is shown, see `views.shown`, and what it says to it.

    logits: of "real", "fake", and the further fakes of terms by their names. judge: images ->
    logits. images: those of the batch.
    """

    real: jax.Array
    fake: jax.Array
    logits: Mapping[str, Logits]
    judge: Callable[[jax.Array], Logits]
    images: Images


def discriminator_terms(
    players: Players,
    pairs: Pairs,
    images: Images,
    key: jax.Array,
    *,
    use_r1: bool,
    use_r2: bool = False,
) -> tuple[dict[str, jax.Array], dict[str, Any]]:
    """Each term of the discriminators' losses, and their new spectral norm estimates.

    pairs: see `Outputs`. images: those of the batch, with "index", see `keys_of_images`.
    """
    values: dict[str, jax.Array] = {}
    stats: dict[str, Any] = {}
    for name, (real, fake) in pairs.items():
        terms = _in_use(name, players.config)
        left_out = {"r1": not use_r1, "r2": not use_r2}
        terms = [term for term in terms if not left_out.get(term.name)]
        found, stats[name] = _terms_of_one(
            name, terms, players, real, fake, images, named_key(key, name)
        )
        values |= found
    return values, stats


def weights_at(fraction: jax.Array, config: Config) -> dict[str, jax.Array]:
    """What each of `discriminator_terms` is multiplied with, at this fraction of the run."""
    return {
        _full_name(name, term): term.weight_at(fraction, config)
        for name in TERMS
        for term in _in_use(name, config)
    }


def needs_smooth_frames(config: Config) -> bool:
    """Whether a discriminator is shown edge-smoothed style frames."""
    return any("smooth frames" in term.needs for name in TERMS for term in _in_use(name, config))


def _in_use(name: str, config: Config) -> list[Term]:
    return [term for term in TERMS[name] if term.in_use(config)]


def _full_name(name: str, term: Term) -> str:
    """In the figures: "real" of the main discriminator, "backward/real" of another."""
    return term.name if name == "main" else f"{name}/{term.name}"


def _terms_of_one(
    name: str,
    terms: list[Term],
    players: Players,
    real: jax.Array,
    fake: jax.Array,
    images: Images,
    key: jax.Array,
) -> tuple[dict[str, jax.Array], Any]:
    config = players.config
    fakes = {term.name: term.fakes(images, term.settings(config)) for term in terms if term.fakes}
    show_key = named_key(key, "shown")
    batches = {
        batch: shown(name, x, images, named_key(show_key, batch), config)
        for batch, x in {"real": real, "fake": fake, **fakes}.items()
    }
    logits, stats = _logits(name, players, batches, images)

    def judge(x):
        return players.judge(name, x, images)

    judged = Judged(batches["real"], batches["fake"], logits, judge, images)
    values = {}
    for term in terms:
        # None of them compares the images of a batch.
        function = cast(Callable[..., jax.Array], term.function)
        term_key = named_key(key, term.name)
        values[_full_name(name, term)] = function(judged, term.settings(config), term_key)
    return values, stats


def _logits(
    name: str, players: Players, batches: dict[str, jax.Array], images: Images
) -> tuple[dict[str, Logits], Any]:
    """Each batch's logits, and the new estimates."""
    couples = getattr(players.networks.discriminators[name], "couples_images", False)
    if not couples:
        # All at once is faster, and moves the estimates once.
        count = len(batches)
        repeated = {key: jnp.concatenate([value] * count) for key, value in images.items()}
        logits, stats = players.judge(
            name, jnp.concatenate(list(batches.values())), repeated, update_stats=True
        )
        heads, structure = jax.tree.flatten(logits)
        parts = zip(*(jnp.split(head, count) for head in heads), strict=True)
        each = [jax.tree.unflatten(structure, part) for part in parts]
        return dict(zip(batches, each, strict=True)), stats
    logits = {}
    for batch, values in batches.items():
        logits[batch], stats = players.judge(name, values, images, update_stats=True)
        players = dataclasses.replace(players, stats={**players.stats, name: stats})
    return logits, players.stats[name]


def _real(judged, settings, key):
    return adversarial.real_loss(settings.kind, judged.logits["real"])


def _fake(judged, settings, key):
    return _loss_on_fakes("fake", judged, settings)


def _loss_on_fakes(name, judged, settings):
    fake = judged.logits[name]
    if settings.kind == "relativistic":
        return adversarial.relativistic_loss(judged.logits["real"], fake)
    return adversarial.fake_loss(settings.kind, fake)


def _smooth(judged, settings, key):
    """Style frames without their crisp edges, so that it asks for these."""
    return _loss_on_fakes("smooth", judged, settings)


def _smooth_frames(images, settings):
    smooth = images["style_smooth"]
    return rgb_to_grey(smooth, channels=3) if settings.smooth_grey else smooth


def _grey(judged, settings, key):
    """Style frames without their colours."""
    return _loss_on_fakes("grey", judged, settings)


def _grey_frames(images, settings):
    return rgb_to_grey(images["style"], channels=3)


def _r1(judged, settings, key):
    return adversarial.zero_centred_penalty(judged.judge, judged.real)


def _r2(judged, settings, key):
    return adversarial.zero_centred_penalty(judged.judge, judged.fake)


def _gradient_penalty(judged, settings, key):
    keys = keys_of_images(key, judged.images["index"])
    return adversarial.gradient_penalty(judged.judge, judged.real, judged.fake, keys)


def _drift(judged, settings, key):
    return adversarial.mean_of_heads(jnp.square, judged.logits["real"])


def _real_weight(settings):
    # Of pairs, what is real is in the loss on the fake.
    return 0.0 if settings.kind == "relativistic" else settings.real_weight


def _judgement(
    name: str, function: Callable, weight: Callable[[Any], float] | None = None, **fields: Any
) -> Term:
    """A term of `config.losses.adversarial`, whose schedule is that of the generator's."""
    return Term(
        name,
        function,
        entry="adversarial",
        weight=weight or (lambda settings: settings[f"{name}_weight"]),
        schedule=constant,
        **fields,
    )


def _lazy(name: str, function: Callable) -> Term:
    """Computed every few steps only, which it makes up for by its size (Karras et al. 2020)."""
    return Term(name, function, weight=lambda settings: settings.weight * settings.every)


_REAL, _FAKE = _judgement("real", _real, _real_weight), _judgement("fake", _fake)

_OF_ALL = (
    _lazy("r1", _r1),
    _lazy("r2", _r2),
    Term("gradient_penalty", _gradient_penalty),
    Term("drift", _drift),
)

TERMS = {
    "main": (
        _REAL,
        _FAKE,
        _judgement("smooth", _smooth, needs=("smooth frames",), fakes=_smooth_frames),
        _judgement("grey", _grey, fakes=_grey_frames),
        *_OF_ALL,
    ),
    **dict.fromkeys(("backward", "grey", "surface"), (_REAL, _FAKE, *_OF_ALL)),
    "support": (*support_tail.DISCRIMINATOR_TERMS, *_OF_ALL),
}
