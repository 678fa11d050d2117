"""A term of a loss is one record: what it computes, what that weighs, and what it needs."""

import dataclasses
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
from ml_collections import ConfigDict, FrozenConfigDict

from jaxstyle.training.default_config import CONSTANT
from jaxstyle.training.schedules import Schedule, schedule_at

type Config = ConfigDict | FrozenConfigDict
Settings = Any  # an entry of `config.losses`

# "content": frames of the content, which a generator of noise lacks. "pairs": what each should look
# like, by paired data, a teacher or a guide. "one style", "style image": a generator that has one,
# or takes one. "heads": PatchNCE's projections. "difference heads": CCPL's. "cycle": a second
# generator that translates back. "support tail": AnimeGANv3's. "smooth frames": edge-smoothed style
# frames in the batch. "start": the generator that training starts from.
Need = Literal[
    "content",
    "pairs",
    "one style",
    "style image",
    "heads",
    "difference heads",
    "cycle",
    "support tail",
    "smooth frames",
    "start",
]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What compares the images of a batch with one another, see `batch_comparison`.

    represent: (players, outputs, images, settings) -> a pytree of arrays [N, ...].
    compare: (representations of the whole batch, settings, key) -> float32 scalar.
    """

    represent: Callable[[Any, Any, Any, Settings], Any]
    compare: Callable[[Any, Settings, jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True)
class Term:
    """One term of what the generator or a discriminator minimises.

    name: in the figures, and what its PRNG key comes from. function: of a generator's term
    `(players, outputs, images, settings, key) -> float32 scalar`, or a `Comparison`; of a
    discriminator's `(judged, settings, key) -> float32 scalar`.
    side: "content" if it holds on to the content, "style" if it asks for the style, which
    `config.content_weight` and `config.style_weight` weigh against each other; or neither, "".
    needs: what it cannot do without. layers: of the pretrained network that it looks through, from
    its settings.
    entry: of `config.losses`, where its settings are; its name, if not given. weight, schedule:
    from these settings. A term of weight 0 is not computed.
    fakes: only for a discriminator, `(images, settings) -> images`: what it is shown besides, its
    logits being those of the term's name.
    """

    name: str
    function: Callable[..., jax.Array] | Comparison
    side: Literal["content", "style", ""] = ""
    needs: tuple[Need, ...] = ()
    layers: Callable[[Settings], tuple[str, ...]] = lambda settings: ()
    entry: str = ""
    weight: Callable[[Settings], float] = lambda settings: settings.weight
    schedule: Callable[[Settings], Schedule] = lambda settings: settings.schedule
    fakes: Callable[[Any, Settings], jax.Array] | None = None

    @property
    def comparison(self) -> Comparison:
        """Its function, if that compares images. Raises TypeError if it does not."""
        if not isinstance(self.function, Comparison):
            raise TypeError(f"the term {self.name} compares no images")
        return self.function

    @property
    def setting(self) -> str:
        """What its entry is called, for messages."""
        return f"config.losses.{self.entry or self.name}"

    def settings(self, config: Config) -> Settings:
        """The entry of the config that is about this term."""
        return config.losses[self.entry or self.name]

    def in_use(self, config: Config) -> bool:
        """Whether it is computed at all."""
        return self.weight(self.settings(config)) > 0

    def weight_at(self, fraction: jax.Array, config: Config) -> jax.Array:
        """What it is multiplied with, at this fraction of the run."""
        sides = {"content": config.content_weight, "style": config.style_weight, "": 1.0}
        settings = self.settings(config)
        multiplier = schedule_at(fraction, self.schedule(settings))
        return self.weight(settings) * sides[self.side] * multiplier


def layers_seen(terms: Sequence[Term], config: Config) -> tuple[str, ...]:
    """The layers of the pretrained network that any of the terms looks through."""
    return tuple(sorted({x for term in terms for x in term.layers(term.settings(config))}))


def constant(settings: Settings) -> Schedule:
    """The schedule of a term whose entry has none for it."""
    return CONSTANT


def named_key(key: jax.Array, name: str) -> jax.Array:
    """A key of its own for whatever has a name: others can come and go without changing it."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))
