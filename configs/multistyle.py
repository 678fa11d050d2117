"""Several styles in one real-time generator, mixed by weights while it runs.

    python -m jaxstyle.main --config=configs/multistyle.py --workdir=runs/multistyle

learns four painters from photographs. Your own, as many as you like:

    python -m jaxstyle.main --config=configs/multistyle.py:3 --workdir=runs/mine \\
        --config.data.content=photos/ --config.data.styles="('ukiyoe/', 'film.mp4', 'comic/')" \\
        --config.data.style_names="('ukiyo-e', 'film', 'comic')"

Each style is a scale and a shift for every channel of `realtime` (conditional affine modulation,
Dumoulin et al. 2017, without its instance norm), and a channel of the discriminator.

Run time: not measured at full length. Expected figures: none yet.
"""

from ml_collections import ConfigDict

from jaxstyle.config import CONSTANT, default_config

_PAINTERS = ("monet", "vangogh", "cezanne", "ukiyoe")


def get_config(styles: str = "4") -> ConfigDict:
    """Returns the config for a number of styles; with four, those of the CycleGAN data sets."""
    if not styles.isdigit() or int(styles) < 2:
        raise ValueError(f"{styles} is not a number of styles of at least 2")
    count = int(styles)
    config = default_config()
    config.name = "multistyle"
    config.steps = 40_000
    config.batch_size = 8
    config.image_size = 256
    config.generator = ConfigDict(
        {"name": "realtime", "size": "small", "styles": count, "dtype": "float32"}
    )
    config.discriminator = ConfigDict(
        {
            "name": "patch",
            "width": 32,
            "layers": 3,
            "norm": "layer",
            "spectral_norm": True,
            "styles": count,
            "dtype": "float32",
        }
    )
    config.data.content = "tfds:cycle_gan/monet2photo?split=trainB"
    if count == len(_PAINTERS):
        config.data.styles = tuple(f"tfds:cycle_gan/{p}2photo?split=trainA" for p in _PAINTERS)
        config.data.style_names = _PAINTERS
    else:
        # So many places; which sources fill them is for the command line to say.
        config.data.styles = ("",) * count
    config.data.crop_scale = (0.6, 1.0)

    config.losses.patch_nce.weight = 0.3
    config.losses.patch_nce.layers = (3, 5)
    config.losses.total_variation.weight = 0.3
    config.losses.shift.weight = 2.0
    config.losses.shift.schedule = CONSTANT
    config.losses.warp.weight = 4.0
    config.losses.warp.noise = 0.05
    config.losses.warp.schedule = CONSTANT

    config.optimizer.generator.learning_rate = 5e-4
    config.optimizer.discriminator.learning_rate = 5e-4
    return config
