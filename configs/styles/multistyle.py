"""The style `multistyle`: the four others in one generator, to be mixed while it runs.

    python -m jaxstyle.main --config=configs/styles/multistyle.py --workdir=runs/multistyle

It wants the four others as styles that ship, and their data:
`python configs/styles/collect.py MEDIA`.
Run time: see `jaxstyle.training.style_recipe`.
"""

from ml_collections import ConfigDict

from jaxstyle.training.style_recipe import ART_CREDITS, DATA, style_config


def get_config() -> ConfigDict:
    """Returns the config of `multistyle`."""
    folders = ("cartoon", "paintings", "wave", "starry_night")
    config = style_config(
        "multistyle",
        "cel, impressionist, woodblock and starry in one, to be mixed while it runs",
        art_credits=tuple(ART_CREDITS[folder] for folder in folders),
    )
    names = ("cel", "impressionist", "woodblock", "starry")
    config.generator = ConfigDict(
        {"name": "realtime", "size": "small", "styles": len(names), "dtype": "float32"}
    )
    config.data.style_names = names
    config.data.styles = tuple(f"{DATA}/{folder}" for folder in folders)
    # Each style is learned from the model that ships under its name.
    config.data.guides = names
    # These are steady by themselves, and what is learned from them should be as crisp: hence little
    # noise, heavier gradients, and a little of the patches that they were learned from.
    config.data.noise = 0.02
    config.losses.paired_gradient.weight = 8.0
    config.losses.patches.weight = 0.4
    config.steps = 5000
    return config
