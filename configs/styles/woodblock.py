"""The style `woodblock`: a Japanese print, blues and ochre on paper with blue lines.

    python -m jaxstyle.main --config=configs/styles/woodblock.py --workdir=runs/woodblock

The data: `python configs/styles/collect.py MEDIA`.
Run time: see `jaxstyle.training.style_recipe`.
"""

from ml_collections import ConfigDict

from jaxstyle.training.style_recipe import ART_CREDITS, DATA, style_config


def get_config() -> ConfigDict:
    """Returns the config of `woodblock`."""
    config = style_config(
        "woodblock",
        "a Japanese print: blues and ochre on paper, with blue lines",
        art_credits=(ART_CREDITS["wave"],),
    )
    config.data.style = f"{DATA}/wave"
    config.data.guides = (f"painter:woodblock?art={DATA}/wave&colours=0.1&contrasts=0.2",)
    # More patches put yellow dots on what is flat and bright.
    config.losses.patches.weight = 0.6
    config.losses.paired_gradient.weight = 6.0
    return config
