"""What the recipes of the styles that ship, `configs/styles/`, have in common.

A painter shows the generator what each photo is to become, and the patches of the art say what is
right in colour and texture: see `jaxstyle.guides.painters` and `jaxstyle.losses.patches`. A style
takes a quarter of an hour or less on one core of an AMD EPYC (Zen 5), with another training on the
other; `multistyle` takes seven minutes on both.
"""

from ml_collections import ConfigDict

from jaxstyle.training.default_config import CONSTANT, default_config

# Where `configs/styles/collect.py` puts the data by default.
DATA = "data/styles"
# Begun at its full rate, a generator can lose all that its head sees below zero, for good.
_WARMED_UP = ((0.0, 0.05), (0.03, 1.0), (0.4, 1.0), (1.0, 0.0))
# Whose pictures are in the folders of art.
ART_CREDITS = {
    "cartoon": "Penny & Chip, 90 frames: MIT, yvg/toasttv",
    "paintings": (
        "18 paintings by Monet, Renoir, Pissarro, Morisot, Seurat and Guillaumin: "
        "public domain, images CC0, Art Institute of Chicago"
    ),
    "wave": "Hokusai, The Great Wave off Kanagawa, half of it: public domain",
    "hiroshige": "Utagawa Hiroshige, The Fifty-three Stations of the Tokaido: public domain",
    "tarot": "Pamela Colman Smith, tarot cards of 1909: public domain",
    "crane": (
        "Walter Crane, The Baby's Opera, The Baby's Bouquet, The Baby's Own Aesop: public domain"
    ),
    "wright": "Blanche Fisher Wright, The Real Mother Goose: public domain in the USA",
    "busch": "Wilhelm Busch, Max und Moritz: public domain",
    "heath_robinson": "William Heath Robinson, Bill the Minder: public domain in the USA",
    "rackham": (
        "Arthur Rackham, The Ring of the Nibelung, Peter Pan in Kensington Gardens: "
        "public domain in the USA"
    ),
    "watercolours": (
        "Warwick Goble, Constantinople, and John Fulleylove, Greece: public domain in the USA"
    ),
    "impressionists": (
        "Monet, Renoir, Pissarro, Morisot, Manet, Cezanne, Seurat and Guillaumin: "
        "public domain, images CC0, Art Institute of Chicago"
    ),
    "pyle": "Howard Pyle, Book of Pirates: public domain",
    "starry_night": "Van Gogh, The Starry Night, half of it: public domain",
}
_PHOTOS = (
    "Kodak Lossless True Color Image Suite: released by Kodak for unrestricted use",
    "Intel IoT DevKit sample videos: CC BY 4.0, Intel Corporation",
    "Big Buck Bunny: CC BY 3.0, (c) 2008 Blender Foundation, peach.blender.org",
)
# What the gallery looks at beside those.
GALLERY_PHOTOS = (
    "Cloudinary Image Dataset 2022, photos: CC BY-SA 4.0, Cloudinary",
    "CLIC 2025, photos: Unsplash License",
)


def style_config(name: str, description: str, *, art_credits: tuple[str, ...]) -> ConfigDict:
    """Returns the config of a style that is learned from its guide and the patches of its art.

    Its art and its guide, `data.style` and `data.guides`, are for the caller to name.

    name: of the bundle. description: what it looks like, in one line. art_credits: whose pictures
    the style is learned from, with their licences.
    """
    config = default_config()
    config.name = name
    config.description = description
    config.licence = "CC BY 4.0"
    config.credits = (*art_credits, *_PHOTOS)

    config.steps = 4000
    config.image_size = 128
    config.data.content = f"{DATA}/content"
    # Strokes and lines are as wide in training as in the result, on small frames and larger ones.
    config.data.content_sides = (256, 480)
    # Of the art: about the scale at which it is compared with what is made of photos.
    config.data.crop_scale = (0.4, 0.6)
    # What the guide made has none: the generator learns to see through it, and films do not
    # flicker. The price: the finest detail is blurred. Styles that need it take less noise, and the
    # warp term, at more than twice the time a step.
    config.data.noise = 0.15

    config.losses.patch_nce.weight = 0.0
    # A discriminator wins at once where the art is a single picture, and doubles a step; the
    # patches hold the generator to the same statistics without one.
    config.losses.adversarial.weight = 0.0
    config.losses.paired_l1.weight = 4.0
    config.losses.paired_gradient.weight = 4.0
    config.losses.patches.weight = 1.5
    # For the styles that give it a weight. Ramped up in the second half, as it is by default, it
    # would weigh most when the learning rate is next to nothing.
    config.losses.warp.schedule = CONSTANT

    # A third to a half of the steps that Adam takes to the same distance from the guide.
    config.optimizer.generator.kind = "muon"
    config.optimizer.generator.b1 = 0.95
    config.optimizer.generator.learning_rate = 2e-3
    config.optimizer.generator.schedule = _WARMED_UP
    config.ema_decay = 0.995
    config.sample_every = 1000
    config.checkpoint_every = 1000
    return config
