"""The full recipe for `realtime`: any content to any style, unpaired, at 256 px.

    python -m jaxstyle.main --config=configs/anime.py --workdir=runs/anime \\
        --config.data.content=/path/to/your/films --config.data.style=/path/to/frames

Without --config.data.* it learns the cel look of the embedded scenes; the first run renders them.
--config=configs/anime.py:base trains another size of the generator (nano, tiny, small, base).

Run time: 1.5 s a step on two CPU cores in size small (5.4 frames/s), so half a day for all 30,000;
--config.steps shortens it, schedules included. Not measured on a GPU yet. Expected figures: at this
length none are measured yet. The weights are those that won at 128 px in 1,000 steps, see
configs/README.md; no pretrained network is needed.
"""

from ml_collections import ConfigDict

from jaxstyle.config import CONSTANT, default_config, sweeps


def get_config(size: str = "small") -> ConfigDict:
    """Returns the config for a size of the generator: nano, tiny, small or base."""
    # Deep feature maps of each size only: the shallow ones tell patches apart by their noise, and
    # would keep it.
    content_layers = {"nano": (1, 2), "tiny": (2, 3), "small": (3, 5), "base": (4, 7)}
    if size not in content_layers:
        raise ValueError(f"no size {size!r}; there are: {', '.join(content_layers)}")
    config = default_config()
    config.name = "anime"
    config.steps = 30_000
    config.batch_size = 8
    config.image_size = 256
    config.generator.size = size
    config.data.content = "scenes:photo?count=2000&size=384&first_seed=0"
    config.data.style = "scenes:cel?count=2000&size=384&first_seed=100000"
    config.data.crop_scale = (0.6, 1.0)
    # Films differ in exposure from shot to shot; the style must not depend on it.
    config.data.brightness = 0.1
    config.data.contrast = 0.1
    config.data.saturation = 0.1

    config.discriminator.width = 32
    config.discriminator.layers = 3
    config.losses.adversarial.smooth_weight = 0.2

    config.losses.patch_nce.weight = 0.3
    config.losses.patch_nce.layers = content_layers[size]
    config.losses.palette.weight = 5.0
    config.losses.total_variation.weight = 0.5
    config.losses.shift.weight = 2.0
    config.losses.shift.schedule = CONSTANT
    config.losses.warp.weight = 8.0
    config.losses.warp.noise = 0.1
    config.losses.warp.schedule = CONSTANT

    config.optimizer.generator.learning_rate = 5e-4
    config.optimizer.discriminator.learning_rate = 5e-4
    config.ema_decay = 0.999
    config.evaluation.every = 1000
    return config


def sweep() -> list[sweeps.Overrides]:
    """Steadiness against style, the trade-off of this recipe, over two seeds each."""
    weights = sweeps.grid({"losses.warp.weight": [2.0, 4.0, 8.0, 16.0]})
    return sweeps.product(weights, sweeps.seeds(2))
