"""CartoonGAN (Chen, Lai & Liu 2018): content by VGG19, crisp edges by smoothed negatives.

    python -m jaxstyle.main --config=configs/cartoon.py --workdir=runs/cartoon \\
        --config.data.content=/path/to/photos --config.data.style=/path/to/film/frames \\
        --config.features.weights=vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5

Published hyperparameters: a ResNet of eight blocks, cross-entropy, content weight 10 at conv4_4,
ten epochs of reproduction first. Unlike AnimeGANv2 it has no terms for colour and texture: it takes
the palette from the discriminator alone.

Run time: not measured at full length. Expected figures: none yet.
"""

from ml_collections import ConfigDict

from jaxstyle.config import CONSTANT, default_config


def get_config() -> ConfigDict:
    """Returns the config."""
    config = default_config()
    config.name = "cartoon"
    # 200 epochs of 6,153 photos in batches of 8, ten of them to reproduce.
    config.steps = 154_000
    config.initial_steps = 7_700
    config.initial_learning_rate = 2e-4
    config.batch_size = 8
    config.image_size = 256
    config.generator = ConfigDict({"name": "resnet", "width": 64, "blocks": 8, "dtype": "float32"})
    config.discriminator = ConfigDict(
        {"name": "patch", "width": 32, "layers": 2, "norm": "instance", "dtype": "float32"}
    )
    config.data.content = config.data.style = ""  # for the command line to say
    config.data.crop_scale = (1.0, 1.0)

    config.losses.adversarial.kind = "bce"
    config.losses.adversarial.smooth_weight = 1.0
    config.losses.patch_nce.weight = 0.0
    config.losses.perceptual.weight = 10.0

    for network in ("generator", "discriminator"):
        config.optimizer[network].schedule = CONSTANT
    return config
