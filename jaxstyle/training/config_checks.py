"""Whether a config can work: unknown settings and impossible values are refused by their names."""

import math
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from jaxstyle.data.diff_augment import POLICIES
from jaxstyle.errors import UserError
from jaxstyle.evaluation import catalogue
from jaxstyle.evaluation.footage import SMALLEST_SIZE
from jaxstyle.losses import adversarial
from jaxstyle.training.default_config import default_config
from jaxstyle.training.objectives.generator import terms_in_use
from jaxstyle.training.objectives.players import OF_VIEWS


def check_config(config: ConfigDict) -> None:
    """Raises `UserError`, naming the setting, if there is one unknown or one that cannot work.

    The fields of the networks are checked where these are built.
    """
    _check_keys(config, default_config())
    for name in ("steps", "batch_size", "accumulation", "generator_every", "discriminator_every"):
        _require(config[name] >= 1, name, config[name], "at least 1")
    for name in ("log_every", "sample_every", "checkpoint_every", "keep_checkpoints"):
        _require(config[name] >= 1, name, config[name], "at least 1")
    divides = config.batch_size % config.accumulation == 0
    _require(divides, "accumulation", config.accumulation, "a divisor of batch_size")
    for name in ("seed", "devices", "initial_steps", "initial_learning_rate"):
        _require(config[name] >= 0, name, config[name], "0 or more")
    parallelism = config.parallelism
    _require(parallelism in ("jit", "pmap"), "parallelism", parallelism, "jit or pmap")
    for name in ("content_weight", "style_weight"):
        _require(config[name] >= 0, name, config[name], "0 or more")
    # Every architecture here has a stride that divides 16.
    size = config.image_size
    _require(size >= 16 and size % 16 == 0, "image_size", size, "a multiple of 16, 16 or more")
    _require(0 <= config.ema_decay < 1, "ema_decay", config.ema_decay, "in [0, 1)")
    both = math.gcd(config.generator_every, config.discriminator_every)
    _require(both == 1, "generator_every", config.generator_every, "coprime to discriminator_every")
    scale = config.data.crop_scale
    ordered = _all_numbers(scale) and len(scale) == 2 and 0 < scale[0] <= scale[1] <= 1
    _require(ordered, "data.crop_scale", scale, "(low, high) within (0, 1]")
    for name in ("brightness", "contrast", "saturation"):
        _require(0 <= config.data[name] < 1, f"data.{name}", config.data[name], "in [0, 1)")
    for name in ("noise", "memory"):
        _require(config.data[name] >= 0, f"data.{name}", config.data[name], "0 or more")
    for name, settings in config.optimizer.items():
        kinds = ("adam", "muon")
        _require(settings.kind in kinds, f"optimizer.{name}.kind", settings.kind, "adam or muon")
        rate = settings.learning_rate
        _require(rate >= 0, f"optimizer.{name}.learning_rate", rate, "0 or more")
        for moment in ("b1", "b2"):
            value = settings[moment]
            _require(0 <= value < 1, f"optimizer.{name}.{moment}", value, "in [0, 1)")
    _check_data(config.data)
    sides = config.data.content_sides
    large = all(isinstance(side, int) and side >= config.image_size for side in sides)
    _require(large, "data.content_sides", sides, "whole numbers, image_size or more")
    _check_evaluation(config.evaluation)
    _check_growth(config)
    _check_losses(config)
    _check_feature_losses(config.losses, config.data)
    for name, settings in [*config.losses.items(), *config.optimizer.items()]:
        _check_schedule(name, settings.schedule)


def _check_data(data: ConfigDict) -> None:
    _require(data.key_frames >= 0, "data.key_frames", data.key_frames, "0 or more")
    if data.styles:
        one_each = len(data.style_names) in (0, len(data.styles))
        _require(one_each, "data.style_names", data.style_names, "a name for each of data.styles")
        alone = not (data.paired or data.teacher)
        _require(alone, "data.styles", data.styles, "empty where data are paired or have a teacher")
    if data.teacher_style:
        given = bool(data.teacher)
        _require(given, "data.teacher_style", data.teacher_style, "empty without data.teacher")
    if data.content_sides:
        # The style would have to be scaled with it.
        setting = "data.content_sides"
        _require(not data.paired, setting, data.content_sides, "empty where data are paired")
    if data.style_names:
        named = bool(data.styles)
        _require(named, "data.style_names", data.style_names, "empty without data.styles")
    if data.key_frames:
        pairs = data.paired or bool(data.teacher) or bool(data.guides)
        _require(pairs, "data.key_frames", data.key_frames, "0 unless data are paired")
    if data.guides:
        alone = not (data.paired or data.teacher)
        _require(alone, "data.guides", data.guides, "empty where data are paired or have a teacher")
        wanted = len(data.styles) or 1
        one_each = len(data.guides) == wanted
        _require(one_each, "data.guides", data.guides, f"one for each style, {wanted} in all")


def _check_evaluation(evaluation: ConfigDict) -> None:
    _require(evaluation.every >= 0, "evaluation.every", evaluation.every, "0 or more")
    _require(evaluation.count >= 1, "evaluation.count", evaluation.count, "at least 1")
    size, smallest = evaluation.size, SMALLEST_SIZE
    _require(size >= smallest, "evaluation.size", size, f"{smallest} or more")
    _require(
        evaluation.best in catalogue.names(), "evaluation.best", evaluation.best, catalogue.names()
    )


def _check_growth(config: ConfigDict) -> None:
    stages, fade = config.growth.stages, config.growth.fade
    _require(0 < fade <= 1, "growth.fade", fade, "in (0, 1]")
    if not stages:
        return
    rising = _all_numbers(stages) and stages[0] == 0 and list(stages) == sorted(set(stages))
    _require(rising and stages[-1] < 1, "growth.stages", stages, "rising from 0, below 1")
    last = 4 * 2 ** (len(stages) - 1)
    _require(
        config.image_size == last, "image_size", config.image_size, f"{last}, the last stage's"
    )


def _check_losses(config: ConfigDict) -> None:
    losses = config.losses
    for name, settings in losses.items():
        _require(settings.weight >= 0, f"losses.{name}.weight", settings.weight, "0 or more")
    kind, pool = losses.adversarial.kind, losses.adversarial.pool
    _require(kind in adversarial.KINDS, "losses.adversarial.kind", kind, adversarial.KINDS)
    for name in ("real_weight", "fake_weight", "smooth_weight", "grey_weight"):
        value = losses.adversarial[name]
        _require(value >= 0, f"losses.adversarial.{name}", value, "0 or more")
    for name, known in (("views", tuple(OF_VIEWS)), ("augment", POLICIES)):
        chosen = losses.adversarial[name]
        fits = set(chosen) <= set(known) and len(set(chosen)) == len(chosen)
        rule = f"a tuple of {', '.join(known)}, each once at most"
        _require(fits, f"losses.adversarial.{name}", chosen, rule)
    views = losses.adversarial.views
    _require(len(views) > 0, "losses.adversarial.views", views, "one view or more")
    strength = losses.adversarial.augment_strength
    _require(0 < strength <= 1, "losses.adversarial.augment_strength", strength, "in (0, 1]")
    large = pool == 0 or pool >= config.batch_size
    _require(large, "losses.adversarial.pool", pool, "0, or batch_size or more")
    if losses.adversarial.conditional:
        # The pool does not keep the content that its results belong to.
        _require(pool == 0, "losses.adversarial.pool", pool, "0 where it is conditional")
    if kind == "relativistic":
        # What is real is in the loss on the fake.
        weight = losses.adversarial.real_weight
        _require(
            weight == 1, "losses.adversarial.real_weight", weight, "1 where it is relativistic"
        )
    for name in ("r1", "r2"):
        _require(losses[name].every >= 1, f"losses.{name}.every", losses[name].every, "at least 1")
    for name, counts in (("patch_nce", ("patches", "width")), ("ccpl", ("positions", "width"))):
        for count in counts:
            value = losses[name][count]
            _require(value >= 1, f"losses.{name}.{count}", value, "at least 1")
        temperature = losses[name].temperature
        _require(temperature > 0, f"losses.{name}.temperature", temperature, "greater than 0")
    layers = losses.patch_nce.layers
    whole = len(layers) > 0 and all(isinstance(layer, int) for layer in layers)
    _require(whole, "losses.patch_nce.layers", layers, "whole numbers, such as (3, 5)")
    block = losses.palette.block
    divides = block >= 1 and config.image_size % block == 0
    _require(divides, "losses.palette.block", block, "a divisor of image_size")
    projections = losses.patches.projections
    _require(projections >= 1, "losses.patches.projections", projections, "at least 1")
    if losses.patches.weight > 0:
        _require(
            config.image_size >= 32,
            "image_size",
            config.image_size,
            "32 or more where losses.patches is on",
        )
        # The pictures of the first stages are smaller than that.
        _require(not config.growth.stages, "growth.stages", config.growth.stages, "empty there")
    for name, setting in (("warp", "pixels"), ("warp", "noise"), ("shift", "noise")):
        value = losses[name][setting]
        _require(value >= 0, f"losses.{name}.{setting}", value, "0 or more")
    scale = losses.flat.scale
    _require(scale > 0, "losses.flat.scale", scale, "greater than 0")
    pixels = losses.shift.pixels
    _require(pixels >= 16 and pixels % 16 == 0, "losses.shift.pixels", pixels, "a multiple of 16")
    if losses.shift.weight > 0:
        # What is compared is what the shift leaves, without a margin of 8 on each side.
        fits = pixels <= config.image_size - 32
        _require(fits, "losses.shift.pixels", pixels, "32 less than image_size, or smaller")
    for term in terms_in_use(config):
        if "start" in term.needs:
            rule = f"the file of a generator, where losses.{term.name} is on"
            _require(bool(config.start), "start", "empty", rule)
    if any("pairs" in term.needs for term in terms_in_use(config)):
        paired = config.data.paired or config.data.teacher or config.data.guides
        rule = "True, or data.teacher or data.guides named, where a paired loss is on"
        _require(paired, "data.paired", False, rule)


def _check_feature_losses(losses: ConfigDict, data: ConfigDict) -> None:
    space = losses.color.space
    _require(space in ("yuv", "lab"), "losses.color.space", space, "yuv or lab")
    known: tuple[str, ...] = ("content",)
    if data.paired or data.teacher:
        known += ("style",)
    if data.guides:
        known += ("guide",)
    for name in ("perceptual", "lpips"):
        target = losses[name].target
        found = target in known or (target == "support" and name == "perceptual")
        _require(found, f"losses.{name}.target", target, f"one of {known}")
    supported = losses.perceptual.target != "support" or losses.support.weight > 0
    _require(supported, "losses.support.weight", 0.0, "more than 0 for losses.perceptual.target")
    if losses.lpips.weight > 0:
        _require(bool(losses.lpips.heads), "losses.lpips.heads", "empty", "a file of linear heads")
    for name in ("perceptual", "gram", "batch_gram", "statistics", "ccpl"):
        layers = losses[name].layers
        named = len(layers) > 0 and all(isinstance(layer, str) for layer in layers)
        _require(named, f"losses.{name}.layers", layers, "names of layers, such as ('conv4_4',)")
    for name, prefix in (("gram", ""), ("support", "gram_")):
        weights, layers = losses[name][f"{prefix}layer_weights"], losses[name][f"{prefix}layers"]
        fits = _all_numbers(weights) and len(weights) == len(layers)
        setting = f"losses.{name}.{prefix}layer_weights"
        _require(fits, setting, weights, f"a number for each of {layers}")
    for name, value in losses.support.items():
        if isinstance(value, int | float):
            _require(value >= 0, f"losses.support.{name}", value, "0 or more")


def _check_keys(config: Mapping[str, Any], default: Mapping[str, Any], prefix: str = "") -> None:
    missing = sorted(set(default) - set(config))
    unknown = sorted(set(config) - set(default))
    if unknown:
        raise UserError(
            f"config has no setting {prefix}{unknown[0]}; there are: {', '.join(sorted(default))}"
        )
    if missing:
        raise UserError(f"config lacks {prefix}{missing[0]}; begin with default_config()")
    for name, value in default.items():
        # The networks' fields depend on their names.
        if isinstance(value, ConfigDict) and prefix + name not in ("generator", "discriminator"):
            _check_keys(config[name], value, f"{prefix}{name}.")


def _all_numbers(values: Any) -> bool:
    return all(isinstance(value, int | float) for value in values)


def _check_schedule(name: str, schedule: Any) -> None:
    try:
        at = [float(fraction) for fraction, _ in schedule]
        [float(multiplier) for _, multiplier in schedule]
    except (TypeError, ValueError):
        at = []
    if not at or at != sorted(at) or not all(0 <= fraction <= 1 for fraction in at):
        raise UserError(
            f"the schedule of {name} is {schedule}; it should be ((fraction of the run, "
            "multiplier), ...) with rising fractions in [0, 1]"
        )


def _require(holds: bool, name: str, value: Any, wanted: Any) -> None:
    if not holds:
        raise UserError(f"config.{name} is {value}; it must be {wanted}")
