"""What the generator minimises: one function a term, and the table that a config chooses from.

For how to add one, see `jaxstyle.training.objectives`.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp

from jaxstyle.data.augment import keys_of_images, random_flip
from jaxstyle.features import LPIPS_LAYERS
from jaxstyle.losses import adversarial, color, contrastive, paired, perceptual, temporal
from jaxstyle.losses.flatness import flatness_loss
from jaxstyle.losses.palette import block_means, palette_distance
from jaxstyle.losses.patches import patch_distance
from jaxstyle.models.branches import fold
from jaxstyle.training.objectives import support_tail
from jaxstyle.training.objectives.batch_comparison import (
    Compared,
    compare_at_once,
    compare_beforehand,
    stand_in,
)
from jaxstyle.training.objectives.outputs import run_generators, see_results
from jaxstyle.training.objectives.players import ADVERSARIES, Images, Outputs, Players
from jaxstyle.training.objectives.term import (
    Comparison,
    Config,
    Term,
    constant,
    layers_seen,
    named_key,
)
from jaxstyle.training.objectives.views import shown

# Pixels at the border of a crop that see most of its padding, and are not compared.
_MARGIN = 8


def generator_terms(
    players: Players,
    images: Images,
    key: jax.Array,
    *,
    use_adversarial: bool,
    compared: Mapping[str, Compared] | None = None,
) -> tuple[dict[str, jax.Array], Outputs]:
    """Each term of the generator's loss that has a weight, and the generators' results.

    Without `use_adversarial` the generator only learns to reproduce: what the perceptual content
    term sees, or where that is off the pixels themselves. compared: in a micro-batch, its part of
    what `compared_terms` gives for the whole batch.
    """
    config = players.config
    outputs = run_generators(players, images)
    terms = terms_in_use(config) if use_adversarial else _in_use(INITIAL_TERMS, config)
    # Once for all terms, so that gradients pass through that network once.
    outputs = see_results(players, outputs, layers_seen(terms, config))
    values = {}
    for term in terms:
        term_key = named_key(key, term.name)
        if not isinstance(term.function, Comparison):
            value = term.function(players, outputs, images, term.settings(config), term_key)
        elif compared is None:
            value = compare_at_once(term, players, outputs, images, term_key)
        else:
            value = stand_in(term, compared, players, outputs, images)
        values[term.name] = value
    return values, outputs


def compared_terms(players: Players, images: Images, key: jax.Array) -> dict[str, Compared]:
    """The terms that compare images, on the whole batch; with the key of `generator_terms`."""
    terms = [t for t in terms_in_use(players.config) if isinstance(t.function, Comparison)]
    return compare_beforehand(terms, players, images, key)


def weights_at(fraction: jax.Array, config: Config) -> dict[str, jax.Array]:
    """What each of `generator_terms` is multiplied with, at this fraction of the run."""
    terms = _in_use((*INITIAL_TERMS, *TERMS), config)
    return {term.name: term.weight_at(fraction, config) for term in terms}


def terms_in_use(config: Config) -> list[Term]:
    """Those that have a weight, once the initial steps are over."""
    return _in_use(TERMS, config)


def _in_use(terms: Sequence[Term], config: Config) -> list[Term]:
    return [term for term in terms if term.in_use(config)]


def _adversarial(players, outputs, images, settings, key):
    losses = []
    for name in ADVERSARIES:
        if name in outputs.pairs:
            real, fake = outputs.pairs[name]
            own_key = named_key(key, name)
            seen = shown(name, fake, images, own_key, players.config)
            logits = players.judge(name, seen, images)
            if settings.kind == "relativistic":
                seen = shown(name, real, images, named_key(own_key, "real"), players.config)
                judged_real = players.judge(name, seen, images)
                losses.append(adversarial.relativistic_loss(logits, judged_real))
            else:
                losses.append(adversarial.generator_loss(settings.kind, logits))
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


def _ccpl(players, outputs, images, settings, key):
    """Neighbours in the result differ as they do in the content (CCPL, Wu et al. 2022)."""
    content = players.see(images["content"], settings.layers)
    shapes = tuple((h - 2, w - 2) for _, h, w, _ in (content[k].shape for k in settings.layers))
    positions = contrastive.sample_positions(key, shapes, settings.positions)

    def projected(maps):
        differences = tuple(
            contrastive.neighbour_differences(maps[layer], index)
            for layer, index in zip(settings.layers, positions, strict=True)
        )
        every = tuple(jnp.arange(d.shape[1] * d.shape[2]) for d in differences)
        parameters = {"params": players.helpers["difference_heads"]}
        return players.networks.helpers["difference_heads"].apply(parameters, differences, every)

    pairs = zip(projected(outputs.seen), projected(content), strict=True)
    losses = [contrastive.patch_nce(q, r, settings.temperature) for q, r in pairs]
    return sum(losses[1:], losses[0])


def _reconstruction(players, outputs, images, settings, key):
    return jnp.abs(outputs.fake - images["content"]).mean()


def _perceptual_reconstruction(players, outputs, images, settings, key):
    return _seen_distance(players, outputs, images["content"], settings)


def _perceptual(players, outputs, images, settings, key):
    wanted = {**images, **outputs.targets}[settings.target]
    return _seen_distance(players, outputs, wanted, settings)


def _seen_distance(players, outputs, wanted, settings):
    target = players.see(wanted, settings.layers)
    distance = perceptual.content_l2 if settings.squared else perceptual.content_l1
    losses = [distance(outputs.seen[layer], target[layer]) for layer in settings.layers]
    return sum(losses[1:], losses[0]) / len(losses)


def _lpips(players, outputs, images, settings, key):
    target = players.see(images[settings.target], LPIPS_LAYERS)
    seen, wanted = ([maps[layer] for layer in LPIPS_LAYERS] for maps in (outputs.seen, target))
    return perceptual.lpips(seen, wanted, players.pretrained["lpips_heads"]).mean()


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


def _anchor(players, outputs, images, settings, key):
    """At large it paints what the generator that it started from paints."""
    module, parameters = fold(players.networks.generator, players.pretrained["start"])
    networks = dataclasses.replace(players.networks, generator=module)
    start = dataclasses.replace(players, networks=networks, generator=parameters)
    painted = start.generate(images["content"], *start.condition(images))
    return paired.blurred_l1(outputs.fake, jax.lax.stop_gradient(painted))


def _flat(players, outputs, images, settings, key):
    return flatness_loss(outputs.fake, images["content"], settings.scale)


def _range(players, outputs, images, settings, key):
    return color.out_of_range(outputs.fake)


def _gram(players, outputs, images, settings, key):
    style = images["style"]
    if settings.grey:
        style = color.rgb_to_grey(style, channels=3)
    target = players.see(style, settings.layers)
    losses = [
        weight * perceptual.gram_l1(outputs.seen[layer], target[layer])
        for layer, weight in zip(settings.layers, settings.layer_weights, strict=True)
    ]
    return sum(losses[1:], losses[0])


def _batch_grams(players, outputs, images, settings):
    style = players.see(images["style"], settings.layers)
    return [
        (perceptual.gram_matrix(outputs.seen[layer]), perceptual.gram_matrix(style[layer]))
        for layer in settings.layers
    ]


def _batch_gram_distance(grams, settings, key):
    losses = [perceptual.relative_gram_l1(fake, style) for fake, style in grams]
    return sum(losses[1:], losses[0])


def _statistics(players, outputs, images, settings, key):
    target = players.see(images["style"], settings.layers)
    seen = outputs.seen
    losses = [perceptual.statistics_loss(seen[layer], target[layer]) for layer in settings.layers]
    return sum(losses[1:], losses[0])


def _palettes(players, outputs, images, settings):
    return tuple(block_means(x, settings.block) for x in (outputs.fake, images["style"]))


def _palette_distance(palettes, settings, key):
    fake, style = palettes
    return palette_distance(fake, style, key, block=1)


def _pictures(players, outputs, images, settings):
    return outputs.fake, images["style"]


def _patch_distance(pictures, settings, key):
    fake, style = pictures
    return patch_distance(fake, style, key, projections=settings.projections)


def _style_codes(players, outputs, images, settings):
    (code,) = outputs.condition
    return players.encode_style(outputs.fake), code


def _code_contrast(codes, settings, key):
    """The result's style code is nearer that of its own style image than those of the others."""
    return contrastive.code_contrast(*codes)


def _shift(players, outputs, images, settings, key):
    """|G(crop x + noise) - crop G(x)| at a random offset (VToonify, Yang et al. 2022)."""
    content = images["content"]
    size = content.shape[1] - settings.pixels
    offset = jax.random.randint(key, (2,), 0, settings.pixels + 1)
    view = temporal.crop(content, offset, size)
    if settings.noise:
        keys = keys_of_images(jax.random.fold_in(key, 1), images["index"])
        view += settings.noise * jax.vmap(lambda k: jax.random.normal(k, view.shape[1:]))(keys)
    shifted = players.generate(view, *outputs.condition)
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


def _layers(settings):
    return settings.layers


TERMS = (
    Term("adversarial", _adversarial, "style"),
    Term("patch_nce", _patch_nce, "content", needs=("content", "heads")),
    Term("ccpl", _ccpl, "content", needs=("content", "difference heads"), layers=_layers),
    Term("perceptual", _perceptual, "content", needs=("content",), layers=_layers),
    Term("lpips", _lpips, "content", needs=("content",), layers=lambda settings: LPIPS_LAYERS),
    Term("cycle", _cycle, "content", needs=("content", "cycle")),
    Term("identity", _identity, "content", needs=("content", "one style")),
    Term("color", _color, "content", needs=("content",)),
    Term("total_variation", _total_variation),
    Term("anchor", _anchor, needs=("content", "start")),
    Term("flat", _flat, needs=("content",)),
    Term("range", _range),
    Term("palette", Comparison(_palettes, _palette_distance), "style"),
    Term("patches", Comparison(_pictures, _patch_distance), "style"),
    Term("gram", _gram, "style", layers=_layers),
    Term("batch_gram", Comparison(_batch_grams, _batch_gram_distance), "style", layers=_layers),
    Term("statistics", _statistics, "style", layers=_layers),
    Term(
        "style_contrast",
        Comparison(_style_codes, _code_contrast),
        "style",
        needs=("content", "style image"),
    ),
    Term("shift", _shift, needs=("content",)),
    Term("warp", _warp, needs=("content",)),
    Term("paired_l1", _paired_l1, needs=("content", "pairs")),
    Term("paired_gradient", _paired_gradient, needs=("content", "pairs")),
    *support_tail.TERMS,
)

# In the initial steps, in which it only learns to reproduce.
INITIAL_TERMS = (
    Term(
        "reconstruction",
        _reconstruction,
        entry="perceptual",
        weight=lambda settings: float(settings.weight == 0),
        schedule=constant,
    ),
    Term("perceptual", _perceptual_reconstruction, "content", layers=_layers),
    *support_tail.INITIAL_TERMS,
)
