"""The style `impressionist`: oil paint in visible dabs, in colours livelier than a photo's.

    python -m jaxstyle.main --config=configs/styles/impressionist.py --workdir=runs/impressionist

The data: `python configs/styles/collect.py MEDIA`.
Run time: see `jaxstyle.styles.recipe`.
"""

from ml_collections import ConfigDict

from jaxstyle.styles.recipe import ART_CREDITS, DATA, style_config


def get_config() -> ConfigDict:
    """Returns the config of `impressionist`."""
    config = style_config(
        "impressionist",
        "dabs of oil paint in clear colours, violet in the shadows and yellow in the light",
        art_credits=(ART_CREDITS["paintings"],),
    )
    config.data.style = f"{DATA}/paintings"
    config.data.guides = (f"painter:oil?art={DATA}/paintings&colours=0.1&contrasts=0.6",)
    # What the patches ask for is near to a photo: more of it takes the painter's colours away.
    config.losses.patches.weight = 1.0
    config.losses.paired_gradient.weight = 8.0
    return config
