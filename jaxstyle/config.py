"""The default of every setting of a training run, and what it means.

A recipe in `configs/` starts from `default_config()` and changes what it needs to; the command line
changes the rest (`--config.steps=100`). The default is locked: a key that is not here is refused.
"""

import math
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict, FrozenConfigDict

from jaxstyle.errors import UserError
from jaxstyle.evaluation import catalogue
from jaxstyle.evaluation.footage import SMALLEST_SIZE
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
    config.description = ""  # what it looks like, in one line; goes into the bundle
    config.licence = ""  # of the trained model, as its data allow; goes into the bundle
    config.credits = ()  # whose data it is trained on, and their licences; goes into the bundle
    config.seed = 0
    config.steps = 20_000
    config.batch_size = 8  # over all devices together
    config.image_size = 256  # pixels, of the square crops that are trained on
    config.devices = 0  # how many devices to use; 0 is all there are
    config.parallelism = "jit"  # or "pmap": the same step, mapped over the devices
    # So many micro-batches a step, one after another: less memory, the same gradients, but where
    # there is batch norm (dcgan, wgan_gp, progan).
    config.accumulation = 1
    # Knobs beside the weights of the single terms: all terms that hold on to the content, and all
    # that ask for the style, are multiplied by these.
    config.content_weight = 1.0
    config.style_weight = 1.0

    # Fields of the modules in jaxstyle/models; `name` chooses one. Another has other fields, so a
    # recipe replaces the whole entry: config.generator = ConfigDict({"name": "animegan2"}).
    # branches: its convolutions are trained as sums of several, and saved as one.
    config.generator = ConfigDict(
        {"name": "realtime", "size": "small", "branches": False, "dtype": "float32"}
    )
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

    # Progressive growing: the fraction of the run at which each stage begins, the first at 4
    # pixels, each twice as large as the last; and the share of a later stage in which it fades in.
    config.growth = ConfigDict({"stages": (), "fade": 0.5})

    # What jaxstyle.data.sources.open_source understands: a folder, a glob, a film, scenes:, tfds:
    config.data = ConfigDict(
        {
            "content": "scenes:photo?count=2000&first_seed=0",  # unused by generators of noise
            "style": "scenes:cel?count=2000&first_seed=100000",
            # For a generator of several styles: a source each, in place of `style`; their names.
            "styles": (),
            "style_names": (),
            "paired": False,  # content[i] and style[i], or images of the same name, belong together
            # A bundle whose results on the content become the style, paired; and the image that an
            # arbitrary-style teacher takes, or the name of the style of one that has several.
            "teacher": "",
            "teacher_style": "",
            "key_frames": 0,  # only so many frames of the content, evenly spaced; 0 is all
            # What paints the content, one for each style: what it makes is what the paired terms
            # compare with, while the style's pictures are there for all others. painter:NAME of
            # jaxstyle.painters, or a bundle; see jaxstyle.data.guides for their options.
            "guides": (),
            "workers": 0,  # processes that load; 0 loads on threads of this one
            "crop_scale": (0.5, 1.0),  # side of the crop, relative to the image's shorter side
            # Shorter sides, in pixels, that every content image is scaled to; crops of it are then
            # cut out as they are, so that strokes and lines keep their width. () is by crop_scale.
            "content_sides": (),
            "flip": True,
            # Largest relative change of brightness, contrast and saturation of the content.
            "brightness": 0.0,
            "contrast": 0.0,
            "saturation": 0.0,
            # Noise on the content, but not on what belongs to it: of each image its own standard
            # deviation, up to this, in [-1, 1]. Learnt from pairs or a guide, the output is steady;
            # terms that compare with the content itself would ask for the noise.
            "noise": 0.0,
            # Decoded images are kept in memory, up to so many megabytes in all; 0 decodes them anew
            # each time.
            "memory": 1000,
            "cache_dir": "",  # for scenes and TFDS data sets; empty is ~/.cache/jaxstyle
        }
    )

    # The pretrained network that perceptual terms see through: vgg19, vgg19_small or squeezenet;
    # its weights, a file or an https:// address, and their SHA-256, which an address needs.
    # normalized: each layer is divided by its mean activation on the embedded scenes, so that
    # weights mean the same for every network and layer.
    config.features = ConfigDict(
        {"network": "vgg19", "weights": "", "sha256": "", "normalized": False}
    )

    config.losses = ConfigDict(
        {
            # kind: bce, lsgan, hinge or wgan. The discriminator's loss on real and fake frames has
            # weights, too, and there are further kinds of fakes: edge-smoothed style frames, which
            # teach it to ask for crisp lines (smooth_grey: in grey), and grey style frames, so that
            # colour counts. conditional: it sees the content beside the result (pix2pix). pool: so
            # many earlier results, of which it sees some instead of new ones.
            "adversarial": {
                "kind": "lsgan",
                "weight": 1.0,
                "schedule": CONSTANT,
                "real_weight": 1.0,
                "fake_weight": 1.0,
                "smooth_weight": 0.0,
                "smooth_grey": False,
                "grey_weight": 0.0,
                "conditional": False,
                "pool": 0,
            },
            # On the discriminator. R1 is computed in one of `every` updates only, at `every` times
            # the weight; the gradient penalty is WGAN-GP's.
            "r1": {"weight": 0.0, "schedule": CONSTANT, "every": 16},
            "gradient_penalty": {"weight": 0.0, "schedule": CONSTANT},
            # On the discriminator, ProGAN's: keeps the logits of real frames from drifting.
            "drift": {"weight": 0.0, "schedule": CONSTANT},
            # Content. layers: which feature maps of the generator, counted from the shallowest.
            # flip: the input of half the images is mirrored for the reference (FastCUT).
            "patch_nce": {
                "weight": 1.0,
                "schedule": CONSTANT,
                "layers": (0, 1, 3, 5),
                "patches": 256,
                "width": 256,
                "temperature": 0.07,
                "flip": False,
            },
            # Content, by the features of `config.features`: mean absolute or squared difference, or
            # LPIPS with the linear heads in a file. target: what the output is to look like,
            # content; where data are paired, style; where there are guides, guide; of AnimeGANv3,
            # support, its smoothed picture.
            "perceptual": {
                "weight": 0.0,
                "schedule": CONSTANT,
                "layers": ("conv4_4",),
                "squared": False,
                "target": "content",
            },
            "lpips": {"weight": 0.0, "schedule": CONSTANT, "heads": "", "target": "content"},
            # A second generator translates back (CycleGAN); a frame of the target stays as it is.
            "cycle": {"weight": 0.0, "schedule": CONSTANT},
            "identity": {"weight": 0.0, "schedule": CONSTANT},
            # Colours of the content. space: yuv (AnimeGANv2) or lab (AnimeGANv3).
            "color": {"weight": 0.0, "schedule": CONSTANT, "space": "yuv"},
            # squared: AnimeGAN's, which favours blur; otherwise flat tones with crisp edges.
            "total_variation": {"weight": 0.0, "schedule": CONSTANT, "squared": False},
            # Style, by features: Gram matrices (grey: of the style in grey, so of its texture
            # alone), with a weight for each layer; or their means and deviations (AdaIN).
            "gram": {
                "weight": 0.0,
                "schedule": CONSTANT,
                "layers": ("conv4_4",),
                "layer_weights": (1.0,),
                "grey": False,
            },
            "statistics": {"weight": 0.0, "schedule": CONSTANT, "layers": ("relu4_1",)},
            # Style, arbitrary: the result's style code is nearer its own style's than the others'
            # of the batch (MicroAST).
            "style_contrast": {"weight": 0.0, "schedule": CONSTANT},
            # AnimeGANv3's second tail, with its own discriminator: the weights of its terms. layer:
            # where its perceptual terms compare.
            "support": {
                "weight": 0.0,
                "schedule": CONSTANT,
                "layer": "conv4_4",
                "adversarial": 1.0,
                "perceptual": 0.5,
                "gram": 1.0,  # of features less their means
                "gram_layers": ("conv2_2", "conv3_3", "conv4_4"),
                "gram_layer_weights": (0.1, 5.0, 25.0),
                "superpixels": 0.2,
                "color": 10.0,
                "total_variation": 1e-3,
                # Of its discriminator; smooth: edge-smoothed style frames as fakes.
                "real_weight": 0.5,
                "fake_weight": 1.0,
                "smooth_weight": 2.0,
            },
            # ... and what the main tail learns from it: L1 to the support's picture, smoothed.
            "smoothed_support": {"weight": 0.0, "schedule": CONSTANT},
            # Colours of the style: sliced Wasserstein distance between batches of block means.
            "palette": {"weight": 0.0, "schedule": CONSTANT, "block": 8},
            # Textures of the style, and at the coarsest scale its colours: sliced Wasserstein
            # distance between the 7x7 patches of batches, at each level of a Laplacian pyramid,
            # along so many random directions.
            "patches": {"weight": 0.0, "schedule": CONSTANT, "projections": 16},
            # Temporal. pixels: the largest shift; the standard deviation of the warp's motion.
            "shift": {"weight": 0.0, "schedule": SECOND_HALF_RAMP, "pixels": 16},
            "warp": {"weight": 0.0, "schedule": SECOND_HALF_RAMP, "pixels": 4.0, "noise": 0.02},
            # Paired data or guides only: mean absolute difference from the paired style frame, or
            # the guide's, of pixels and of the differences of neighbouring pixels.
            "paired_l1": {"weight": 0.0, "schedule": CONSTANT},
            "paired_gradient": {"weight": 0.0, "schedule": CONSTANT},
        }
    )

    # kind: adam, or muon, which turns the step of each convolution into one of all directions alike
    # (Jordan et al. 2024), with Adam for the rest; b1 is the momentum of either.
    adam = {"kind": "adam", "learning_rate": 2e-4, "schedule": LINEAR_DECAY, "b1": 0.5, "b2": 0.999}
    config.optimizer = ConfigDict({"generator": dict(adam), "discriminator": dict(adam)})
    config.ema_decay = 0.999  # of the averaged generator that samples and bundles use
    # Steps at first in which the generator only learns to reproduce, and their learning rate.
    config.initial_steps = 0
    config.initial_learning_rate = 2e-4
    config.generator_every = 1  # update the generator every so many steps
    config.discriminator_every = 1

    config.log_every = 50
    config.sample_every = 500
    config.checkpoint_every = 1000
    config.keep_checkpoints = 3
    config.judge = True  # the bundle carries the discriminator, for `stylize --judge`
    config.tensorboard = False  # also write event files; needs the extra `tensorboard`

    # How good it is by now, on what it is not trained on; figures as in jaxstyle.evaluate, which
    # has more. every: steps, and at the end; 0 is never. content, style: as --content and --style
    # there; empty is held-out scenes where scenes are trained on, else frames of the training data.
    # count: scenes or pictures. best: the figure by which best.safetensors is chosen.
    config.evaluation = ConfigDict(
        {"every": 0, "content": "", "style": "", "count": 24, "size": 256, "best": "swd"}
    )
    return config.lock()


def needs_smooth_frames(config: ConfigDict | FrozenConfigDict) -> bool:
    """Whether a discriminator is shown edge-smoothed style frames."""
    of_support = config.losses.support.weight * config.losses.support.smooth_weight
    return config.losses.adversarial.smooth_weight > 0 or of_support > 0


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
    large = pool == 0 or pool >= config.batch_size
    _require(large, "losses.adversarial.pool", pool, "0, or batch_size or more")
    if losses.adversarial.conditional:
        # The pool does not keep the content that its results belong to.
        _require(pool == 0, "losses.adversarial.pool", pool, "0 where it is conditional")
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
    for name in ("pixels", "noise"):
        _require(losses.warp[name] >= 0, f"losses.warp.{name}", losses.warp[name], "0 or more")
    pixels = losses.shift.pixels
    _require(pixels >= 16 and pixels % 16 == 0, "losses.shift.pixels", pixels, "a multiple of 16")
    if losses.shift.weight > 0:
        # What is compared is what the shift leaves, without a margin of 8 on each side.
        fits = pixels <= config.image_size - 32
        _require(fits, "losses.shift.pixels", pixels, "32 less than image_size, or smaller")
    if losses.paired_l1.weight > 0 or losses.paired_gradient.weight > 0:
        paired = config.data.paired or config.data.teacher or config.data.guides
        rule = "True, or data.teacher or data.guides named, where a paired loss is on"
        _require(paired, "data.paired", False, rule)


def _check_feature_losses(losses: ConfigDict, data: ConfigDict) -> None:
    space = losses.color.space
    _require(space in ("yuv", "lab"), "losses.color.space", space, "yuv or lab")
    known = ("content",)
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
    for name in ("perceptual", "gram", "statistics"):
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
    if not at or at != sorted(at) or at[0] < 0 or at[-1] > 1:
        raise UserError(
            f"the schedule of {name} is {schedule}; it should be ((fraction of the run, "
            "multiplier), ...) with rising fractions in [0, 1]"
        )


def _require(holds: bool, name: str, value: Any, wanted: Any) -> None:
    if not holds:
        raise UserError(f"config.{name} is {value}; it must be {wanted}")
