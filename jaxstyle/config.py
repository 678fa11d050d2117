"""The default of every setting of a training run, and what it means.

A recipe in `configs/` starts from `default_config()` and changes what it needs to; the command line
changes the rest (`--config.steps=100`). The default is locked: a key that is not here is refused.
"""

import math
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from jaxstyle.errors import UserError
from jaxstyle.losses import adversarial

# A schedule is a piecewise linear curve, ((fraction of the run, multiplier), ...), which the weight
# or the learning rate beside it is multiplied with.
CONSTANT = ((0.0, 1.0),)
SECOND_HALF_RAMP = ((0.5, 0.0), (1.0, 1.0))
LINEAR_DECAY = ((0.5, 1.0), (1.0, 0.0))


def default_config() -> ConfigDict:
    """Returns the locked default config: `realtime` trained unpaired on the embedded scenes."""
    config = ConfigDict()
    config.name = "anime"  # of the style; goes into the bundle
    config.licence = ""  # of the trained model, as its data allow; goes into the bundle
    config.seed = 0
    config.steps = 20_000
    config.batch_size = 8  # over all devices together
    config.image_size = 256  # pixels, of the square crops that are trained on
    config.devices = 0  # how many devices to use; 0 is all there are

    # Fields of the modules in jaxstyle/models; `name` chooses one. Another has other fields, so a
    # recipe replaces the whole entry: config.generator = ConfigDict({"name": "animegan2"}).
    config.generator = ConfigDict({"name": "realtime", "size": "small", "dtype": "float32"})
    config.discriminator = ConfigDict(
        {
            "name": "patch",
            "width": 64,
            "layers": 3,
            "norm": "layer",
            "spectral_norm": True,
            "dtype": "float32",
        }
    )

    # What jaxstyle.data.sources.open_source understands: a folder, a glob, a film, scenes:, tfds:
    config.data = ConfigDict(
        {
            "content": "scenes:photo?count=2000&first_seed=0",
            "style": "scenes:cel?count=2000&first_seed=100000",
            "paired": False,  # content[i] and style[i] belong together
            "workers": 0,  # processes that load; 0 loads on threads of this one
            "crop_scale": (0.5, 1.0),  # side of the crop, relative to the image's shorter side
            "flip": True,
            # Largest relative change of brightness, contrast and saturation of the content.
            "brightness": 0.0,
            "contrast": 0.0,
            "saturation": 0.0,
            "cache_dir": "",  # for scenes and TFDS data sets; empty is ~/.cache/jaxstyle
        }
    )

    config.losses = ConfigDict(
        {
            # kind: bce, lsgan, hinge or wgan. smooth_weight: of edge-smoothed style frames as a
            # second kind of fake, which teaches the discriminator to ask for crisp lines.
            "adversarial": {
                "kind": "lsgan",
                "weight": 1.0,
                "schedule": CONSTANT,
                "smooth_weight": 0.0,
            },
            # On the discriminator. R1 is computed in one of `every` updates only, at `every` times
            # the weight; the gradient penalty is WGAN-GP's.
            "r1": {"weight": 0.0, "schedule": CONSTANT, "every": 16},
            "gradient_penalty": {"weight": 0.0, "schedule": CONSTANT},
            # Content. layers: which feature maps of the generator, counted from the shallowest.
            "patch_nce": {
                "weight": 1.0,
                "schedule": CONSTANT,
                "layers": (0, 1, 3, 5),
                "patches": 256,
                "width": 256,
                "temperature": 0.07,
            },
            "color": {"weight": 0.0, "schedule": CONSTANT},
            "total_variation": {"weight": 0.0, "schedule": CONSTANT},
            # Colours of the style: sliced Wasserstein distance between batches of block means.
            "palette": {"weight": 0.0, "schedule": CONSTANT, "block": 8},
            # Temporal. pixels: the largest shift; the standard deviation of the warp's motion.
            "shift": {"weight": 0.0, "schedule": SECOND_HALF_RAMP, "pixels": 16},
            "warp": {"weight": 0.0, "schedule": SECOND_HALF_RAMP, "pixels": 4.0, "noise": 0.02},
            # Paired data only: mean absolute difference from the paired style frame.
            "paired_l1": {"weight": 0.0, "schedule": CONSTANT},
        }
    )

    adam = {"learning_rate": 2e-4, "schedule": LINEAR_DECAY, "b1": 0.5, "b2": 0.999}
    config.optimizer = ConfigDict({"generator": dict(adam), "discriminator": dict(adam)})
    config.ema_decay = 0.999  # of the averaged generator that samples and bundles use
    config.initial_steps = 0  # steps at first in which the generator only learns to reproduce
    config.generator_every = 1  # update the generator every so many steps
    config.discriminator_every = 1

    config.log_every = 50
    config.sample_every = 500
    config.checkpoint_every = 1000
    config.keep_checkpoints = 3
    config.tensorboard = False  # also write event files; needs the extra `tensorboard`
    config.evaluation_scenes = 0  # held-out scenes to compare with the true cel frames at the end
    return config.lock()


def check_config(config: ConfigDict) -> None:
    """Raises `UserError`, naming the setting, if there is one unknown or one that cannot work.

    The fields of the networks are checked where these are built.
    """
    _check_keys(config, default_config())
    for name in ("steps", "batch_size", "generator_every", "discriminator_every"):
        _require(config[name] >= 1, name, config[name], "at least 1")
    for name in ("log_every", "sample_every", "checkpoint_every", "keep_checkpoints"):
        _require(config[name] >= 1, name, config[name], "at least 1")
    for name in ("seed", "devices", "initial_steps", "evaluation_scenes"):
        _require(config[name] >= 0, name, config[name], "0 or more")
    # Every architecture here has a stride that divides 16.
    size = config.image_size
    _require(size >= 32 and size % 16 == 0, "image_size", size, "a multiple of 16, 32 or more")
    _require(0 <= config.ema_decay < 1, "ema_decay", config.ema_decay, "in [0, 1)")
    both = math.gcd(config.generator_every, config.discriminator_every)
    _require(both == 1, "generator_every", config.generator_every, "coprime to discriminator_every")
    scale = config.data.crop_scale
    ordered = _all_numbers(scale) and len(scale) == 2 and 0 < scale[0] <= scale[1] <= 1
    _require(ordered, "data.crop_scale", scale, "(low, high) within (0, 1]")
    for name in ("brightness", "contrast", "saturation"):
        _require(0 <= config.data[name] < 1, f"data.{name}", config.data[name], "in [0, 1)")
    for name, settings in config.optimizer.items():
        rate = settings.learning_rate
        _require(rate >= 0, f"optimizer.{name}.learning_rate", rate, "0 or more")
        for moment in ("b1", "b2"):
            value = settings[moment]
            _require(0 <= value < 1, f"optimizer.{name}.{moment}", value, "in [0, 1)")
    _check_losses(config)
    for name, settings in [*config.losses.items(), *config.optimizer.items()]:
        _check_schedule(name, settings.schedule)


def _check_losses(config: ConfigDict) -> None:
    losses = config.losses
    for name, settings in losses.items():
        _require(settings.weight >= 0, f"losses.{name}.weight", settings.weight, "0 or more")
    kind, smooth_weight = losses.adversarial.kind, losses.adversarial.smooth_weight
    _require(kind in adversarial.KINDS, "losses.adversarial.kind", kind, adversarial.KINDS)
    _require(smooth_weight >= 0, "losses.adversarial.smooth_weight", smooth_weight, "0 or more")
    _require(losses.r1.every >= 1, "losses.r1.every", losses.r1.every, "at least 1")
    for name in ("patches", "width"):
        value = losses.patch_nce[name]
        _require(value >= 1, f"losses.patch_nce.{name}", value, "at least 1")
    temperature = losses.patch_nce.temperature
    _require(temperature > 0, "losses.patch_nce.temperature", temperature, "greater than 0")
    layers = losses.patch_nce.layers
    whole = len(layers) > 0 and all(isinstance(layer, int) for layer in layers)
    _require(whole, "losses.patch_nce.layers", layers, "whole numbers, such as (3, 5)")
    block = losses.palette.block
    divides = block >= 1 and config.image_size % block == 0
    _require(divides, "losses.palette.block", block, "a divisor of image_size")
    for name in ("pixels", "noise"):
        _require(losses.warp[name] >= 0, f"losses.warp.{name}", losses.warp[name], "0 or more")
    pixels = losses.shift.pixels
    _require(pixels >= 16 and pixels % 16 == 0, "losses.shift.pixels", pixels, "a multiple of 16")
    if losses.shift.weight > 0:
        # What is compared is what the shift leaves, without a margin of 8 on each side.
        fits = pixels <= config.image_size - 32
        _require(fits, "losses.shift.pixels", pixels, "32 less than image_size, or smaller")
    if losses.paired_l1.weight > 0:
        _require(config.data.paired, "data.paired", False, "True where losses.paired_l1 is on")


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
    if not at or at != sorted(at) or at[0] < 0 or at[-1] > 1:
        raise UserError(
            f"the schedule of {name} is {schedule}; it should be ((fraction of the run, "
            "multiplier), ...) with rising fractions in [0, 1]"
        )


def _require(holds: bool, name: str, value: Any, wanted: Any) -> None:
    if not holds:
        raise UserError(f"config.{name} is {value}; it must be {wanted}")
