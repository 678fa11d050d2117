"""What the generator minimises: one function a term, and the table that a config chooses from."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import FrozenConfigDict

from jaxstyle.data.augment import keys_of_images, random_flip
from jaxstyle.features import LPIPS_LAYERS
from jaxstyle.losses import adversarial, color, contrastive, paired, perceptual, temporal
from jaxstyle.losses.smoothing import superpixels
from jaxstyle.training.objectives.batch_comparison import (
    PALETTE,
    PATCHES,
    STYLE_CONTRAST,
    Compared,
    Comparison,
    compare_at_once,
    compare_beforehand,
    stand_in,
)
from jaxstyle.training.objectives.kinds import KINDS
from jaxstyle.training.objectives.outputs import (
    Images,
    Outputs,
    Players,
    judged_pairs,
    run_generators,
)

Terms = dict[str, jax.Array]
Term = Callable[[Players, Outputs, Images, Any, jax.Array], jax.Array]

# Pixels at the border of a crop that see most of its padding, and are not compared.
_MARGIN = 8


def generator_terms(
    players: Players,
    images: Images,
    key: jax.Array,
    *,
    use_adversarial: bool,
    compared: Mapping[str, Compared] | None = None,
) -> tuple[Terms, Outputs]:
    """Each term of the generator's loss that has a weight, and the generators' results.

    Without `use_adversarial` the generator only learns to reproduce: what the perceptual content
    term sees, or where that is off the pixels themselves. compared: in a micro-batch, its part of
    what `compared_terms` gives for the whole batch.
    """
    losses = players.config.losses
    outputs = run_generators(players, images)
    if not use_adversarial:
        return _reproduction_terms(players, outputs, images), outputs
    terms: Terms = {}
    for name, term in _terms_in_use(players).items():
        settings, term_key = losses[name], _key_of(name, key)
        if not isinstance(term, Comparison):
            value = term(players, outputs, images, settings, term_key)
        elif compared is None:
            value = compare_at_once(term, players, outputs, images, settings, term_key)
        else:
            value = stand_in(term, compared[name], players, outputs, images, settings)
        terms |= value if isinstance(value, dict) else {name: value}
    return terms, outputs


def compared_terms(players: Players, images: Images, key: jax.Array) -> dict[str, Compared]:
    """The terms that compare images, on the whole batch; with the key of `generator_terms`."""
    terms = {k: v for k, v in _terms_in_use(players).items() if isinstance(v, Comparison)}
    return compare_beforehand(terms, players, images, {name: _key_of(name, key) for name in terms})


def _terms_in_use(players: Players) -> dict[str, Term | Comparison]:
    losses = players.config.losses
    return {name: term for name, term in _TERMS.items() if losses[name].weight > 0}


def _key_of(name: str, key: jax.Array) -> jax.Array:
    return jax.random.fold_in(key, list(_TERMS).index(name))


def _reproduction_terms(players: Players, outputs: Outputs, images: Images) -> Terms:
    losses, content = players.config.losses, images["content"]
    if losses.perceptual.weight == 0:
        return {"reconstruction": jnp.abs(outputs.fake - content).mean()}
    terms = {"perceptual": _seen_distance(players, outputs, content, losses.perceptual)}
    if outputs.support is not None:
        layer = losses.support.layer
        seen, target = (players.see(x, (layer,)) for x in (outputs.support, content))
        terms["support/perceptual"] = perceptual.content_l1(seen[layer], target[layer])
    return terms


def _adversarial(players, outputs, images, settings, key):
    """For every discriminator but the support's, which has a weight of its own."""
    pairs = judged_pairs(players, outputs, images)
    names = [name for name in pairs if name != "support"]
    losses = [
        adversarial.generator_loss(settings.kind, players.judge(name, pairs[name][1], images))
        for name in names
    ]
    return sum(losses[1:], losses[0])


def _patch_nce(players, outputs, images, settings, key):
    position_key, flip_key = jax.random.split(key)
    content, condition = images["content"], outputs.condition
    maps = outputs.maps
    if settings.flip:
        # FastCUT: what a patch is must not depend on whether the picture is mirrored.
        keys = keys_of_images(flip_key, images["index"])
        mirrored = random_flip(content, keys)
        _, maps = players.generate(mirrored, *condition, return_features=True)
        maps = tuple(random_flip(m, keys) for m in maps)
    _, fake_maps = players.generate(outputs.fake, *condition, return_features=True)
    reference = tuple(maps[i] for i in settings.layers)
    query = tuple(fake_maps[i] for i in settings.layers)
    shapes = tuple(m.shape[1:3] for m in reference)
    positions = contrastive.sample_positions(position_key, shapes, settings.patches)
    project = players.networks.helpers["heads"].apply
    parameters = {"params": players.helpers["heads"]}
    pairs = zip(
        project(parameters, query, positions),
        project(parameters, reference, positions),
        strict=True,
    )
    losses = [contrastive.patch_nce(q, r, settings.temperature) for q, r in pairs]
    return sum(losses[1:], losses[0]) / len(losses)


def _perceptual(players, outputs, images, settings, key):
    wanted = outputs.smooth if settings.target == "support" else images[settings.target]
    return _seen_distance(players, outputs, wanted, settings)


def _seen_distance(players, outputs, wanted, settings):
    target = players.see(wanted, settings.layers)
    distance = perceptual.content_l2 if settings.squared else perceptual.content_l1
    losses = [distance(outputs.seen[layer], target[layer]) for layer in settings.layers]
    return sum(losses[1:], losses[0]) / len(losses)


def _lpips(players, outputs, images, settings, key):
    target = players.see(images[settings.target], LPIPS_LAYERS)
    pair = ([seen[layer] for layer in LPIPS_LAYERS] for seen in (outputs.seen, target))
    return perceptual.lpips(*pair, players.pretrained["lpips_heads"]).mean()


def _cycle(players, outputs, images, settings, key):
    """|F(G(x)) - x| + |G(F(y)) - y| (CycleGAN, Zhu et al. 2017)."""
    content = players.generate_back(outputs.fake)
    style = players.generate(outputs.backward)
    return jnp.abs(content - images["content"]).mean() + jnp.abs(style - images["style"]).mean()


def _identity(players, outputs, images, settings, key):
    """A frame in the style stays as it is; in a cycle, one of the content does, too."""
    loss = jnp.abs(players.generate(images["style"]) - images["style"]).mean()
    if outputs.backward is not None:
        content = images["content"]
        loss += jnp.abs(players.generate_back(content) - content).mean()
    return loss


def _color(players, outputs, images, settings, key):
    loss = {"yuv": color.yuv_color_loss, "lab": color.lab_color_loss}[settings.space]
    return loss(outputs.fake, images["content"])


def _total_variation(players, outputs, images, settings, key):
    return color.total_variation(outputs.fake, squared=settings.squared)


def _gram(players, outputs, images, settings, key):
    style = images["style"]
    if settings.grey:
        style = color.rgb_to_grey(style, channels=3)
    target = players.see(style, settings.layers)
    return _gram_distance(outputs.seen, target, settings.layers, settings.layer_weights)


def _gram_distance(seen, target, layers, weights):
    pairs = zip(layers, weights, strict=True)
    losses = [w * perceptual.gram_l1(seen[layer], target[layer]) for layer, w in pairs]
    return sum(losses[1:], losses[0])


def _centred(seen):
    """Feature maps less their means over the picture: their Gram matrix is their covariance."""
    return {layer: maps - maps.mean(axis=(1, 2), keepdims=True) for layer, maps in seen.items()}


def _statistics(players, outputs, images, settings, key):
    target = players.see(images["style"], settings.layers)
    seen = outputs.seen
    losses = [perceptual.statistics_loss(seen[layer], target[layer]) for layer in settings.layers]
    return sum(losses[1:], losses[0])


def _shift(players, outputs, images, settings, key):
    """|G(crop x) - crop G(x)| at a random offset (VToonify, Yang et al. 2022)."""
    content = images["content"]
    size = content.shape[1] - settings.pixels
    offset = jax.random.randint(key, (2,), 0, settings.pixels + 1)
    shifted = players.generate(temporal.crop(content, offset, size), *outputs.condition)
    difference = jnp.abs(shifted - temporal.crop(outputs.fake, offset, size))
    return difference[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN].mean()


def _warp(players, outputs, images, settings, key):
    """|warp G(x) - G(warp x + noise)|, compound regularization (ReReVST, Wang et al. 2020)."""
    content = images["content"]
    shape = content.shape[1:]
    flow_keys, noise_keys = (keys_of_images(k, images["index"]) for k in jax.random.split(key))
    flow = jax.vmap(lambda k: temporal.smooth_flow(k, shape[:2], settings.pixels))(flow_keys)
    noise = settings.noise * jax.vmap(lambda k: jax.random.normal(k, shape))(noise_keys)
    moved = players.generate(temporal.warp(content, flow) + noise, *outputs.condition)
    difference = jnp.abs(temporal.warp(outputs.fake, flow) - moved)
    return difference[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN].mean()


def _paired_l1(players, outputs, images, settings, key):
    return jnp.abs(outputs.fake - _partner(images)).mean()


def _paired_gradient(players, outputs, images, settings, key):
    return paired.gradient_l1(outputs.fake, _partner(images))


def _partner(images):
    """What belongs to the content: what its guide made of it, or else its style image."""
    return images["guide"] if "guide" in images else images["style"]


def _support(players, outputs, images, settings, key):
    """The terms of AnimeGANv3's second tail, each with its weight in `settings`."""
    support, content = outputs.support, images["content"]
    layer = settings.layer

    def distance(picture, x):
        return perceptual.content_l1(players.see(picture, (layer,))[layer], x[layer])

    seen = players.see(support, (layer,))
    # Texture is learnt from grey, colour from the content.
    grey, style = (
        _centred(players.see(color.rgb_to_grey(x, channels=3), settings.gram_layers))
        for x in (support, images["style"])
    )
    _, fake = judged_pairs(players, outputs, images)["support"]
    logits = players.judge("support", fake, images)
    parts = {
        "adversarial": jnp.square(logits - SUPPORT_LABELS[0]).mean(),
        "perceptual": distance(content, seen),
        "gram": _gram_distance(grey, style, settings.gram_layers, settings.gram_layer_weights),
        "superpixels": distance(superpixels(support), seen) + distance(superpixels(content), seen),
        "color": color.lab_color_loss(support, content),
        "total_variation": color.total_variation(support, squared=True),
    }
    return {f"support/{name}": value for name, value in parts.items()}


def _smoothed_support(players, outputs, images, settings, key):
    return jnp.abs(outputs.fake - outputs.smooth).mean()


# AnimeGANv3 asks its support discriminator for these instead of 1 for real and 0 for fake.
SUPPORT_LABELS = (0.9, 0.1)

_TERMS: dict[str, Term | Comparison] = {
    "adversarial": _adversarial,
    "patch_nce": _patch_nce,
    "perceptual": _perceptual,
    "lpips": _lpips,
    "cycle": _cycle,
    "identity": _identity,
    "color": _color,
    "total_variation": _total_variation,
    "palette": PALETTE,
    "patches": PATCHES,
    "gram": _gram,
    "statistics": _statistics,
    "style_contrast": STYLE_CONTRAST,
    "shift": _shift,
    "warp": _warp,
    "paired_l1": _paired_l1,
    "paired_gradient": _paired_gradient,
    "support": _support,
    "smoothed_support": _smoothed_support,
}


def term_weight(name: str, config: FrozenConfigDict) -> float:
    """The weight of a term, its schedule aside. Terms without an entry in the config have 1."""
    entry, _, part = name.partition("/")
    if entry not in config.losses:
        return 1.0
    weight = config.losses[entry].weight
    if part:
        weight *= config.losses[entry][part]
    match KINDS[name].side:
        case "style":
            weight *= config.style_weight
        case "content":
            weight *= config.content_weight
    return weight
