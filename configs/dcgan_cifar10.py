"""DCGAN on CIFAR-10 (Radford et al. 2016): noise to images of 32x32.

    python -m jaxstyle.main --config=configs/dcgan_cifar10.py --workdir=runs/dcgan
    python -m jaxstyle.generate runs/dcgan/model.safetensors samples.png

TFDS builds CIFAR-10 with TensorFlow (pip install 'jaxstyle[tfds]'). Without it: download
cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html, and add

    --config.data.style=cifar10:/path/to/cifar-10-binary.tar.gz

A single class is cifar10:PATH?labels=3; any folder of images does, too.

Run time: not measured yet. Expected: after the 20,000 steps (51 epochs) blobs have become scenes
with a horizon and animals and vehicles by their outline, few of them whole.
"""

from ml_collections import ConfigDict

from jaxstyle.config import CONSTANT, default_config


def get_config() -> ConfigDict:
    """Returns the config, with the paper's optimizer and batch size."""
    config = default_config()
    config.name = "dcgan-cifar10"
    config.steps = 20_000
    config.batch_size = 128
    config.image_size = 32
    config.generator = ConfigDict(
        {"name": "dcgan", "latent": 100, "width": 64, "image_size": 32, "dtype": "float32"}
    )
    config.discriminator = ConfigDict(
        {"name": "dcgan", "width": 64, "image_size": 32, "dtype": "float32"}
    )
    config.data.content = ""
    config.data.style = "tfds:cifar10"
    config.data.crop_scale = (1.0, 1.0)
    config.data.flip = False

    config.losses.adversarial.kind = "bce"
    config.losses.patch_nce.weight = 0.0

    for optimizer in (config.optimizer.generator, config.optimizer.discriminator):
        optimizer.learning_rate = 2e-4
        optimizer.b1 = 0.5
        optimizer.b2 = 0.999
        optimizer.schedule = CONSTANT
    return config
