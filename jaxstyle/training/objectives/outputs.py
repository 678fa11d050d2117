"""What the networks make of one batch, and who judges it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from ml_collections import FrozenConfigDict

from jaxstyle.features import LPIPS_LAYERS
from jaxstyle.losses.color import rgb_to_grey
from jaxstyle.losses.smoothing import guided_filter, l0_smooth
from jaxstyle.models.examples import condition_of, takes_noise
from jaxstyle.training.networks import Networks

PyTree = Any
Images = Mapping[str, jax.Array]

# AnimeGANv3 judges its support tail's pictures without their finest grain.
_GUIDED_RADIUS = 2
_GUIDED_EPSILON = 4e-2  # 0.01 of pixels in [0, 1]


@dataclasses.dataclass(frozen=True)
class Growth:
    """How far a progressively growing network has come: a stage, and how much of it (0 to 1)."""

    stage: int
    alpha: jax.Array

    def __call__(self, images: jax.Array) -> jax.Array:
        """Shrinks images [N, S, S, C] to the stage's size, as blurred as its fade-in makes them."""
        side = 4 * 2**self.stage
        images = mean_pooled(images, images.shape[1] // side)
        if self.stage == 0:
            return images
        coarse = mean_pooled(images, 2).repeat(2, axis=1).repeat(2, axis=2)
        return coarse + self.alpha * (images - coarse)


def mean_pooled(x: jax.Array, factor: int) -> jax.Array:
    """Means of `factor` x `factor` pixels: [N, H, W, C] -> [N, H / factor, W / factor, C]."""
    n, h, w, c = x.shape
    return x.reshape(n, h // factor, factor, w // factor, factor, c).mean(axis=(2, 4))


@dataclasses.dataclass(frozen=True)
class Players:
    """Networks with their parameters at one moment, and what they need beside images.

    discriminators, stats: by name, as in `TrainState`. pretrained: the parameters of the network
    that perceptual terms see through ("features"), what its layers are divided by ("scales") and
    the heads of LPIPS ("lpips_heads"), each if there is any.
    growth: where networks grow. axis: the name of the mapped axis over which a batch is spread,
    where each device computes on its own part of it (pmap).
    """

    networks: Networks
    config: FrozenConfigDict
    generator: PyTree
    helpers: Mapping[str, PyTree]
    discriminators: Mapping[str, PyTree]
    stats: Mapping[str, PyTree]
    pretrained: Mapping[str, PyTree]
    growth: Growth | None = None
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

    def generate(self, x: jax.Array, *condition: PyTree, return_features: bool = False):
        """The generator's result for images or noise, and its feature maps if asked for."""
        options: dict[str, Any] = {"return_features": True} if return_features else {}
        if self.growth:
            options["growth"] = (self.growth.stage, self.growth.alpha)
        return self.networks.generator.apply({"params": self.generator}, x, *condition, **options)

    def generate_back(self, x: jax.Array) -> jax.Array:
        """The second generator's result, from the style to the content."""
        return self.networks.helpers["backward"].apply({"params": self.helpers["backward"]}, x)

    def judge(self, name: str, x: jax.Array, images: Images, update_stats: bool = False):
        """A discriminator's logits on x; with `update_stats` also its new estimates."""
        if self.config.losses.adversarial.conditional and name == "main":
            x = jnp.concatenate([images["content"], x], axis=-1)
        options = {"growth": (self.growth.stage, self.growth.alpha)} if self.growth else {}
        variables = {"params": self.discriminators[name], "batch_stats": self.stats[name]}
        module = self.networks.discriminators[name]
        changed = {}
        if update_stats:
            logits, changed = module.apply(
                variables, x, update_stats=True, mutable=["batch_stats"], **options
            )
        else:
            logits = module.apply(variables, x, **options)
        if condition_of(self.networks.generator) == "styles":
            label = images["style_label"].reshape(-1, 1, 1, 1)
            logits = jnp.take_along_axis(logits, label, axis=-1)
        return (logits, changed.get("batch_stats", {})) if update_stats else logits

    def see(self, x: jax.Array, layers: tuple[str, ...]) -> dict[str, jax.Array]:
        """The pretrained network's feature maps of images, by layer."""
        maps = self.networks.features.apply(self.pretrained["features"], x, layers)
        scales = self.pretrained.get("scales", {})
        return {layer: m / scales[layer] if scales else m for layer, m in maps.items()}


@flax.struct.dataclass
class Outputs:
    """What the generators make of one batch.

    fake: float32 [N, S, S, 3], the result. maps: the generator's feature maps of the content.
    condition: what it was given beside it. seen: the pretrained network's feature maps of fake.
    backward: of the style, by the second generator of a cycle. support: by AnimeGANv3's second
    tail, its grain filtered out; smooth: the same unfiltered, with small gradients flattened.
    """

    fake: jax.Array
    maps: tuple[jax.Array, ...] = ()
    condition: tuple = ()
    seen: Mapping[str, jax.Array] = flax.struct.field(default_factory=dict)
    backward: jax.Array | None = None
    support: jax.Array | None = None
    smooth: jax.Array | None = None


def run_generators(players: Players, images: Images) -> Outputs:
    """Stylizes a batch, float32 images in [-1, 1] by their names in `steps.train_step`."""
    networks = players.networks
    maps, condition = (), ()
    if takes_noise(networks.generator):
        fake = players.generate(images["noise"])
    else:
        condition = players.condition(images)
        fake, maps = players.generate(images["content"], *condition, return_features=True)
    # Once for all terms, so that gradients pass through that network once.
    layers = _layers_seen(players.config)
    outputs = Outputs(fake, maps, condition, players.see(fake, layers) if layers else {})
    if "backward" in networks.helpers:
        back = players.generate_back(images["style"])
        outputs = outputs.replace(backward=back)
    if "support" in networks.helpers:
        tail = networks.helpers["support"]
        painted = tail.apply({"params": players.helpers["support"]}, maps)
        support = guided_filter(painted, painted, _GUIDED_RADIUS, _GUIDED_EPSILON)
        smooth = jax.lax.stop_gradient(l0_smooth(painted))
        outputs = outputs.replace(support=support, smooth=smooth)
    return outputs


def _layers_seen(config: FrozenConfigDict) -> tuple[str, ...]:
    losses = config.losses
    terms = [losses[name] for name in ("perceptual", "gram", "statistics")]
    layers = {layer for term in terms if term.weight > 0 for layer in term.layers}
    if losses.lpips.weight > 0:
        layers |= set(LPIPS_LAYERS)
    return tuple(sorted(layers))


def judged_pairs(
    players: Players, outputs: Outputs, images: Images
) -> dict[str, tuple[jax.Array, jax.Array]]:
    """The real and the fake images that each discriminator is to tell apart, by its name."""
    real = images["style"]
    if players.growth:
        real = players.growth(real)
    if outputs.support is not None:
        # The main tail is to look like the support's picture without its grain; it is the support
        # tail that learns the style.
        return {
            "main": (outputs.smooth, outputs.fake),
            "support": (rgb_to_grey(real), rgb_to_grey(outputs.support)),
        }
    pairs = {"main": (real, outputs.fake)}
    if outputs.backward is not None:
        pairs["backward"] = (images["content"], outputs.backward)
    return pairs
