"""The style `impressionist`: dabs of oil paint that set hues side by side.

    python -m jaxstyle.main --config=configs/styles/impressionist.py --workdir=runs/impressionist

The data: `python configs/styles/collect.py MEDIA`.
Run time: see `jaxstyle.training.style_recipe`.
"""

from ml_collections import ConfigDict

from jaxstyle.training.style_recipe import ART_CREDITS, DATA, style_config


def get_config() -> ConfigDict:
    """Returns the config of `impressionist`."""
    config = style_config(
        "impressionist",
        "dabs of oil paint that set hues side by side, in a cool light over violet shadows",
        art_credits=(ART_CREDITS["paintings"],),
    )
    config.data.style = f"{DATA}/paintings"
    config.data.guides = ("painter:oil",)
    # With more noise there is no telling on which side of a dab a pixel is.
    config.data.noise = 0.08
    # Weaker than in the other styles: the painter is near the art by itself.
    config.losses.patches.weight = 1.0
    return config
