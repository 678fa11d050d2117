"""The style `woodblock`: a Japanese print, blues and ochre on paper with blue lines.

    python -m jaxstyle.main --config=configs/styles/woodblock.py --workdir=runs/woodblock

The data: `python configs/styles/collect.py MEDIA`.
Run time: half an hour on one core of an AMD EPYC (Zen 5).
"""

from ml_collections import ConfigDict

from jaxstyle.styles.recipe import ART_CREDITS, DATA, ask_for_art, style_config


def get_config() -> ConfigDict:
    """Returns the config of `woodblock`."""
    config = style_config(
        "woodblock",
        "a Japanese print: blues and ochre on paper, with blue lines",
        art_credits=(ART_CREDITS["wave"],),
    )
    config.data.style = f"{DATA}/wave"
    config.data.guides = ("painter:woodblock",)
    ask_for_art(config)
    return config
