"""What a discriminator is shown of a picture: a view of it, augmented."""

import jax

from jaxstyle.data.augment import keys_of_images
from jaxstyle.data.diff_augment import diff_augment
from jaxstyle.losses.color import random_grey
from jaxstyle.losses.smoothing import guided_filter
from jaxstyle.training.objectives.players import ADVERSARIES, OF_VIEWS, Images
from jaxstyle.training.objectives.term import Config

# White-box Cartoonization's (Wang & Yu 2020), of images in [-1, 1].
_SURFACE_RADIUS, _SURFACE_EPSILON = 5, 0.2


def shown(name: str, x: jax.Array, images: Images, key: jax.Array, config: Config) -> jax.Array:
    """What the discriminator `name` sees of x, float32 [N, H, W, 3] in [-1, 1].

    images: those of the batch, with "index", see `keys_of_images`. Returns the same shape.
    """
    if name not in ADVERSARIES:
        return x
    view_key, augment_key = jax.random.split(key)
    if name == OF_VIEWS["grey"]:
        x = random_grey(x, keys_of_images(view_key, images["index"]))
    elif name == OF_VIEWS["surface"]:
        x = guided_filter(x, x, _SURFACE_RADIUS, _SURFACE_EPSILON)
    settings = config.losses.adversarial
    if settings.augment:
        keys = keys_of_images(augment_key, images["index"])
        x = diff_augment(x, keys, settings.augment, settings.augment_strength)
    return x
