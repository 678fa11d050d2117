"""The styles of the gallery, twelve in one generator, to be mixed while it runs.

    python -m jaxstyle.main --config=configs/styles/gallery.py --workdir=runs/gallery

The data: `python configs/styles/collect.py MEDIA`. The first run has painters paint every photo in
every style (`jaxstyle.guides.painters.art_looks`), with the colours of the style's art; that takes
about an hour on two CPU cores, the training 18 minutes.
"""

from ml_collections import ConfigDict

from jaxstyle.training.style_recipe import ART_CREDITS, DATA, GALLERY_PHOTOS, style_config

# The painter of each style is called as the style is; the folder of its art.
STYLES = {
    "ukiyoe": "hiroshige",
    "tarot": "tarot",
    "toybook": "crane",
    "storybook": "wright",
    "comic": "busch",
    "animation": "cartoon",
    "inkline": "heath_robinson",
    "inkwash": "rackham",
    "watercolour": "watercolours",
    "impressionist": "impressionists",
    "classic_oil": "pyle",
    "starry_night": "starry_night",
}


def get_config() -> ConfigDict:
    """Returns the config of `gallery`."""
    config = style_config(
        "gallery",
        "prints, picture books, comics, ink, watercolour and oil: twelve styles, mixed live",
        art_credits=(*(ART_CREDITS[folder] for folder in STYLES.values()), *GALLERY_PHOTOS),
    )
    config.generator = ConfigDict(
        {
            "name": "realtime",
            "size": "small",
            "half_width": 12,
            "styles": len(STYLES),
            "dtype": "float32",
        }
    )
    config.data.content = f"{DATA}/gallery_content"
    config.data.key_frames = 140
    # One scale, that of a film of 400 lines: lines and flats are as wide as the painters make them.
    config.data.content_sides = (400,)
    config.data.style_names = tuple(STYLES)
    config.data.styles = tuple(f"{DATA}/{folder}" for folder in STYLES.values())
    config.data.guides = tuple(
        f"painter:{style}?art={DATA}/{folder}" for style, folder in STYLES.items()
    )
    config.data.memory = 3000
    # Little noise, for lines are to stay crisp.
    config.data.noise = 0.06
    config.losses.paired_gradient.weight = 6.0
    config.losses.patches.weight = 0.0
    config.steps = 7000
    return config
