"""What the recipes of the styles that ship, `configs/styles/`, have in common."""

from ml_collections import ConfigDict

from jaxstyle.config import CONSTANT, LINEAR_DECAY, default_config

# Where `configs/styles/collect.py` puts the data by default.
DATA = "data/styles"
# The painter shows the generator the look first; then the discriminator, and the colours of the
# art, ask for what the painter lacks.
_LATER = ((0.25, 0.0), (0.5, 1.0))
# Begun at its full rate, a generator can lose all that its head sees below zero, for good.
_WARMED_UP = ((0.0, 0.05), (0.05, 1.0), (0.5, 1.0), (1.0, 0.0))
# Whose pictures are in the folders of art.
ART_CREDITS = {
    "cartoon": "Penny & Chip, 90 frames: MIT, yvg/toasttv",
    "paintings": (
        "18 paintings by Monet, Renoir, Pissarro, Morisot, Seurat and Guillaumin: "
        "public domain, images CC0, Art Institute of Chicago"
    ),
    "wave": "Hokusai, The Great Wave off Kanagawa, its left part: public domain",
    "starry_night": "Van Gogh, The Starry Night, its left part: public domain",
}
_PHOTOS = (
    "Kodak Lossless True Color Image Suite: released by Kodak for unrestricted use",
    "Intel IoT DevKit sample videos: CC BY 4.0, Intel Corporation",
    "Big Buck Bunny: CC BY 3.0, (c) 2008 Blender Foundation, peach.blender.org",
)


def style_config(name: str, description: str, *, art_credits: tuple[str, ...]) -> ConfigDict:
    """Returns the config of a style that is learned from its guide alone, see also `ask_for_art`.

    Its art and its guide, `data.style` and `data.guides`, are for the caller to name.

    name: of the bundle. description: what it looks like, in one line. art_credits: whose pictures
    the style is learned from, with their licences.
    """
    config = default_config()
    config.name = name
    config.description = description
    config.licence = "CC BY 4.0"
    config.credits = (*art_credits, *_PHOTOS)

    config.steps = 3200
    config.image_size = 128
    config.data.content = f"{DATA}/content"
    # Strokes and lines are as wide in training as in the result, on small frames and larger ones.
    config.data.content_sides = (256, 480)
    config.data.crop_scale = (0.4, 0.8)
    config.discriminator.width = 16
    config.discriminator.layers = 2

    config.losses.patch_nce.weight = 0.0
    config.losses.paired_l1.weight = 4.0
    config.losses.paired_gradient.weight = 8.0
    config.losses.adversarial.weight = 0.0
    config.losses.warp.weight = 1.0
    config.losses.warp.noise = 0.05
    config.losses.warp.schedule = CONSTANT

    # The usual b1 of GANs, 0.5, takes five times as many steps to what the painter shows.
    config.optimizer.generator.b1 = 0.9
    config.optimizer.generator.learning_rate = 1e-3
    config.optimizer.generator.schedule = _WARMED_UP
    config.ema_decay = 0.995
    config.sample_every = 400
    config.checkpoint_every = 800
    return config


def ask_for_art(config: ConfigDict) -> None:
    """Adds the discriminator and the palette of the art to a config of `style_config`."""
    config.steps = 2700
    config.losses.paired_gradient.weight = 6.0
    config.losses.palette.weight = 3.0
    config.losses.palette.schedule = _LATER
    config.losses.adversarial.weight = 0.2
    config.losses.adversarial.schedule = _LATER
    config.losses.warp.weight = 2.0
    config.optimizer.generator.learning_rate = 1.5e-3
    config.optimizer.generator.schedule = LINEAR_DECAY
    config.optimizer.discriminator.learning_rate = 5e-4
