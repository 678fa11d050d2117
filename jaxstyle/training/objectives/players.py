"""Who plays in a step: the networks, with their parameters at one moment, and what they make."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax
from ml_collections import FrozenConfigDict

from jaxstyle.features import FeatureNetwork
from jaxstyle.models.examples import condition_of, takes_features

PyTree = Any
Images = Mapping[str, jax.Array]
# (real, fake) images by the name of the discriminator that is to tell them apart.
Pairs = dict[str, tuple[jax.Array, jax.Array]]

# The discriminator that judges each view of `config.losses.adversarial.views`.
OF_VIEWS = {"color": "main", "grey": "grey", "surface": "surface"}
# The discriminators that `config.losses.adversarial` is about.
ADVERSARIES = ("main", "backward", "grey", "surface")


@dataclasses.dataclass(frozen=True)
class Networks:
    """The modules and optimizers that a config describes; holds no arrays.

    discriminators: "main" judges the generator's results, "grey" and "surface" views of them;
    "backward", in a cycle, those of the second generator, and "support" those of AnimeGANv3's
    second tail. helpers are trained together with the generator and not needed after it: PatchNCE's
    "heads", CCPL's "difference_heads", the "backward" generator of a cycle, the "support" tail.
    features: the pretrained network that perceptual terms and some discriminators see through.

    The optimizers give directions only. How far to go depends on the step of the run, which they
    cannot know: they count their own updates.
    """

    generator: nn.Module
    discriminators: Mapping[str, nn.Module]
    helpers: Mapping[str, nn.Module]
    features: FeatureNetwork | None
    generator_optimizer: optax.GradientTransformation
    discriminator_optimizer: optax.GradientTransformation


@dataclasses.dataclass(frozen=True)
class Players:
    """Networks with their parameters at one moment, and what they need beside images.

    discriminators, stats: by name, as in `TrainState`. pretrained: the parameters of the network
    that perceptual terms and discriminators see through ("features"), what its layers are divided
    by ("scales") and the heads of LPIPS ("lpips_heads"), and the generator that the run started
    from, branches folded ("start"), each if there is something that needs it.
    options: further arguments of the generator and the discriminators, such as how far those that
    grow have come. axis: the name of the mapped axis over which a batch is spread, where each
    device computes on its own part of it (pmap).
    """

    networks: Networks
    config: FrozenConfigDict
    generator: PyTree
    helpers: Mapping[str, PyTree]
    discriminators: Mapping[str, PyTree]
    stats: Mapping[str, PyTree]
    pretrained: Mapping[str, PyTree]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    axis: str | None = None

    def gather(self, tree: PyTree) -> PyTree:
        """The whole batch, [N, ...] each, for terms that compare its images with one another."""
        if self.axis is None:
            return tree
        return jax.lax.all_gather(tree, self.axis, tiled=True)

    def condition(self, images: Images) -> tuple[jax.Array, ...]:
        """What the generator takes beside its input, as positional arguments."""
        match condition_of(self.networks.generator):
            case "styles":
                count = self.networks.generator.styles
                return (jax.nn.one_hot(images["style_label"], count),)
            case "image":
                return (self.encode_style(images["style"]),)
        return ()

    def encode_style(self, style: jax.Array) -> PyTree:
        """The style code of images, by a generator that takes a style image."""
        return self.networks.generator.apply(
            {"params": self.generator}, style, method="encode_style"
        )

    def generate(self, x: jax.Array, *condition: PyTree, return_features: bool = False) -> Any:
        """The generator's result for images or noise, and its feature maps if asked for."""
        options = {**self.options, "return_features": True} if return_features else self.options
        return self.networks.generator.apply({"params": self.generator}, x, *condition, **options)

    def generate_back(self, x: jax.Array) -> jax.Array:
        """The second generator's result, from the style to the content."""
        result: Any = self.networks.helpers["backward"].apply(
            {"params": self.helpers["backward"]}, x
        )
        return result

    def judge(self, name: str, x: jax.Array, images: Images, update_stats: bool = False) -> Any:
        """A discriminator's logits on x; with `update_stats` also its new estimates.

        x: as `views.shown` gives it. Logits: float32 [N, h, w, 1], of several heads a dict of them.
        """
        if self.config.losses.adversarial.conditional and name == "main":
            x = jnp.concatenate([images["content"], x], axis=-1)
        variables = {"params": self.discriminators[name], "batch_stats": self.stats[name]}
        module = self.networks.discriminators[name]
        seen: Any = self.see(x, module.layers) if takes_features(module) else x
        changed: Mapping[str, Any] = {}
        if update_stats:
            logits, changed = module.apply(
                variables, seen, update_stats=True, mutable=["batch_stats"], **self.options
            )
        else:
            logits = module.apply(variables, seen, **self.options)
        if condition_of(self.networks.generator) == "styles":
            label = images["style_label"].reshape(-1, 1, 1, 1)
            logits = jax.tree.map(lambda x: jnp.take_along_axis(x, label, axis=-1), logits)
        return (logits, changed.get("batch_stats", {})) if update_stats else logits

    def see(self, x: jax.Array, layers: tuple[str, ...]) -> dict[str, jax.Array]:
        """The pretrained network's feature maps of images, by layer."""
        network = self.networks.features
        if network is None:
            raise ValueError("nothing in the config sees through a pretrained network")
        maps = network.apply(self.pretrained["features"], x, layers)
        scales = self.pretrained.get("scales", {})
        return {layer: m / scales[layer] if scales else m for layer, m in maps.items()}


@flax.struct.dataclass
class Outputs:
    """What the generators make of one batch.

    fake: float32 [N, S, S, 3], the result. pairs: what each discriminator is to tell apart.
    maps: the generator's feature maps of the content. condition: what it was given beside it.
    seen: the pretrained network's feature maps of fake. backward: of the style, by the second
    generator of a cycle. targets: what fake may be asked to look like besides the batch's images.
    support: what AnimeGANv3's second tail paints, see `support_tail`.
    """

    fake: jax.Array
    pairs: Pairs
    maps: tuple[jax.Array, ...] = ()
    condition: tuple = ()
    seen: Mapping[str, jax.Array] = flax.struct.field(default_factory=dict)
    backward: jax.Array | None = None
    targets: Images = flax.struct.field(default_factory=dict)
    support: Any = None
