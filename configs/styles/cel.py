"""The style `cel`: flat, bright tones within dark outlines, as in a drawn animation film.

    python -m jaxstyle.main --config=configs/styles/cel.py --workdir=runs/cel

The data: `python configs/styles/collect.py MEDIA`.
Run time: see `jaxstyle.training.style_recipe`.
"""

from ml_collections import ConfigDict

from jaxstyle.training.style_recipe import ART_CREDITS, DATA, style_config


def get_config() -> ConfigDict:
    """Returns the config of `cel`."""
    config = style_config(
        "cel",
        "flat, bright tones within dark outlines, as in a drawn animation film",
        art_credits=(ART_CREDITS["cartoon"],),
    )
    config.data.style = f"{DATA}/cartoon"
    config.data.guides = (f"painter:cel?art={DATA}/cartoon&colours=0&contrasts=0.3",)
    # Lines stay crisp with little noise, and the warp term keeps them where they are.
    config.data.noise = 0.05
    config.losses.warp.weight = 4.5
    config.losses.patches.weight = 1.0
    config.steps = 3000
    return config
