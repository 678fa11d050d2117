"""The style `starry`: the deep blues and bright yellows of a starry night by Van Gogh.

    python -m jaxstyle.main --config=configs/styles/starry.py --workdir=runs/starry

The data: `python configs/styles/collect.py MEDIA`.
Run time: see `jaxstyle.training.style_recipe`.
"""

from ml_collections import ConfigDict

from jaxstyle.training.style_recipe import ART_CREDITS, DATA, style_config


def get_config() -> ConfigDict:
    """Returns the config of `starry`."""
    config = style_config(
        "starry",
        "the deep blues and bright yellows of a starry night by Van Gogh",
        art_credits=(ART_CREDITS["starry_night"],),
    )
    config.data.style = f"{DATA}/starry_night"
    config.data.guides = ("painter:starry",)
    # Noise would blur the finest strokes; the warp term keeps them where they are instead.
    config.data.noise = 0.03
    config.losses.warp.weight = 5.1
    config.steps = 3200
    return config
