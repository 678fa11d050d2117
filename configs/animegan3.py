"""AnimeGANv3 (Liu et al. 2023): two tails, of which the one that is smoothed ships.

    python -m jaxstyle.main --config=configs/animegan3.py --workdir=runs/animegan3 \\
        --config.data.content=/path/to/photos --config.data.style=/path/to/film/frames \\
        --config.features.weights=vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5

The support tail learns the style (Gram matrices and a discriminator that sees grey), the main tail
a picture of it whose small gradients are flattened. What the original computes on the CPU in every
step runs on the device here, inside the step: L0 smoothing (without the non-local means before it),
and superpixels on a grid (SLIC) in place of a segmentation of the graph of pixels.

Run time: not measured at full length. Expected figures: none yet.
"""

from ml_collections import ConfigDict

from jaxstyle.config import CONSTANT, default_config


def get_config() -> ConfigDict:
    """Returns the config."""
    config = default_config()
    config.name = "animegan3"
    config.steps = 60_000
    config.initial_steps = 3_000
    config.initial_learning_rate = 2e-4
    config.batch_size = 8
    config.image_size = 256
    config.generator = ConfigDict({"name": "animegan3", "dtype": "float32"})
    config.discriminator = ConfigDict({"name": "animegan3", "dtype": "float32"})
    config.data.content = config.data.style = ""  # for the command line to say
    config.data.crop_scale = (1.0, 1.0)

    config.losses.patch_nce.weight = 0.0
    # The main tail.
    config.losses.adversarial.kind = "lsgan"
    config.losses.adversarial.weight = 0.02
    # The original divides what VGG19 sees by its number of channels.
    config.losses.perceptual.weight = 0.5 / 512
    config.losses.perceptual.target = "support"
    config.losses.total_variation.weight = 1e-3 / 2
    config.losses.total_variation.squared = True
    config.losses.smoothed_support.weight = 50.0
    # The support tail.
    config.losses.support.weight = 1.0
    config.losses.support.perceptual = 0.5 / 512
    config.losses.support.superpixels = 0.2 / 512
    config.losses.support.gram_layer_weights = (0.1 / 128, 5 / 256, 25 / 512)
    config.losses.support.total_variation = 1e-3 / 2

    config.optimizer.generator.learning_rate = 1e-4
    config.optimizer.generator.schedule = CONSTANT
    config.optimizer.discriminator.learning_rate = 1e-4
    config.optimizer.discriminator.schedule = CONSTANT
    return config
