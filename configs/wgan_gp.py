"""WGAN-GP with residual networks on CIFAR-10 (Gulrajani et al. 2017): noise to images of 32x32.

    python -m jaxstyle.main --config=configs/wgan_gp.py --workdir=runs/wgan_gp
    python -m jaxstyle.generate runs/wgan_gp/model.safetensors samples.png

The data, without TensorFlow: --config.data.style=cifar10:/path/to/cifar-10-binary.tar.gz (see
configs/dcgan_cifar10.py). Images of your own at 64x64, with a folder as --config.data.style:

    --config.image_size=64 --config.generator.image_size=64 --config.discriminator.image_size=64

Every step updates the critic, every fifth the generator, too: 500,000 steps are the paper's 100,000
iterations. Run time: not measured yet. Expected: an Inception score of 7.86 is the paper's, without
labels; not reproduced here yet.
"""

from ml_collections import ConfigDict

from jaxstyle.config import default_config


def get_config() -> ConfigDict:
    """Returns the config, with the paper's hyperparameters."""
    config = default_config()
    config.name = "wgan-gp"
    config.steps = 500_000
    config.batch_size = 64
    config.image_size = 32
    config.generator = ConfigDict(
        {"name": "wgan_gp", "latent": 128, "width": 128, "image_size": 32, "dtype": "float32"}
    )
    config.discriminator = ConfigDict(
        {"name": "wgan_gp", "width": 128, "image_size": 32, "norm": "none", "dtype": "float32"}
    )
    config.data.content = ""
    config.data.style = "tfds:cifar10"
    config.data.crop_scale = (1.0, 1.0)
    config.data.flip = False

    config.losses.adversarial.kind = "wgan"
    config.losses.gradient_penalty.weight = 10.0
    config.losses.patch_nce.weight = 0.0

    config.generator_every = 5
    for optimizer in (config.optimizer.generator, config.optimizer.discriminator):
        optimizer.learning_rate = 2e-4
        optimizer.b1 = 0.0
        optimizer.b2 = 0.9
        optimizer.schedule = ((0.0, 1.0), (1.0, 0.0))
    return config
