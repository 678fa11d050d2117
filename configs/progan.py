"""Progressive GAN (Karras et al. 2018): noise to images, grown from 4x4 pixels to 32x32.

    python -m jaxstyle.main --config=configs/progan.py --workdir=runs/progan
    python -m jaxstyle.generate runs/progan/model.safetensors walk.mp4 --rows=3 --columns=5

The data, without TensorFlow: --config.data.style=cifar10:/path/to/cifar-10-binary.tar.gz (see
configs/dcgan_cifar10.py). Images of your own, larger: --config=configs/progan.py:128 with a folder
as --config.data.style; 32, 64, 128 or 256.

Run time: not measured yet, and a GPU is needed for it. Expected figures: none are measured yet; the
samples have the size of the stage that the run is in.
"""

from ml_collections import ConfigDict

from jaxstyle.config import CONSTANT, default_config

# Real images that a stage sees while it fades in, and again as many before the next one begins.
_IMAGES = 800_000


def get_config(size: str = "32") -> ConfigDict:
    """Returns the config for images of a size in pixels, with the paper's hyperparameters."""
    sizes = {"32": 4, "64": 5, "128": 6, "256": 7}
    if size not in sizes:
        raise ValueError(f"no size {size!r}; there are: {', '.join(sizes)}")
    stages, pixels = sizes[size], int(size)
    config = default_config()
    config.name = "progan"
    config.batch_size = 64 if pixels <= 64 else 16
    config.image_size = pixels
    config.generator = ConfigDict(
        {
            "name": "progan",
            "latent": 512,
            "width": 512,
            "fmap_base": 8192,
            "image_size": pixels,
            "dtype": "float32",
        }
    )
    config.discriminator = ConfigDict(
        {
            "name": "progan",
            "width": 512,
            "fmap_base": 8192,
            "image_size": pixels,
            "dtype": "float32",
        }
    )
    # In units of _IMAGES: the first stage, which fades in from nothing, has 1, the others 2, and
    # the last one 3.
    units = 2 * stages
    config.steps = units * _IMAGES // config.batch_size
    config.growth.stages = (0.0, *((2 * i - 1) / units for i in range(1, stages)))
    config.growth.fade = 0.5
    config.data.content = ""
    config.data.style = "tfds:cifar10"
    config.data.crop_scale = (1.0, 1.0)
    config.data.flip = True

    config.losses.adversarial.kind = "wgan"
    config.losses.gradient_penalty.weight = 10.0
    config.losses.drift.weight = 1e-3
    config.losses.patch_nce.weight = 0.0

    for optimizer in (config.optimizer.generator, config.optimizer.discriminator):
        optimizer.learning_rate = 1e-3
        optimizer.b1 = 0.0
        optimizer.b2 = 0.99
        optimizer.schedule = CONSTANT
    config.ema_decay = 0.999
    return config
