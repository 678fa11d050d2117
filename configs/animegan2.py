"""AnimeGANv2 (Chen, Liu & Chen 2020) at its published hyperparameters.

    python -m jaxstyle.main --config=configs/animegan2.py --workdir=runs/animegan2 \\
        --config.data.content=/path/to/photos --config.data.style=/path/to/film/frames \\
        --config.features.weights=vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5

--config=configs/animegan2.py:hayao (the default), :paprika or :shinkai takes the weights that were
published for that film's look. The perceptual weights are meant for VGG19 as Keras publishes it,
whose features are of Caffe's scale (pip install 'jaxstyle[keras]' reads them; without the file the
command says where it is to be had). SqueezeNet is smaller and names its layers otherwise:
--config.features.network=squeezenet --config.losses.perceptual.layers="('fire5',)" and the same of
losses.gram.

Run time: not measured at full length. Expected figures: none yet. The
generator is large: 186 GFLOP for a frame of 640x360. For live use distil it, see configs/paired.py.
"""

from ml_collections import ConfigDict

from jaxstyle.config import CONSTANT, default_config

# Of the terms: content, Gram, colour, total variation; and of the discriminator's: real, fake,
# grey, edge-smoothed.
_STYLES = {
    "hayao": ((1.5, 2.5, 15.0, 1.0), (1.2, 1.2, 1.2, 0.8)),
    "paprika": ((2.0, 0.6, 50.0, 0.1), (1.0, 1.0, 1.0, 0.005)),
    "shinkai": ((1.2, 2.0, 10.0, 1.0), (1.7, 1.7, 1.7, 1.0)),
}


def get_config(style: str = "hayao") -> ConfigDict:
    """Returns the config with the loss weights of a style: hayao, paprika or shinkai."""
    if style not in _STYLES:
        raise ValueError(f"no style {style!r}; there are: {', '.join(_STYLES)}")
    (content, gram, color, variation), (real, fake, grey, smooth) = _STYLES[style]
    config = default_config()
    config.name = f"animegan2-{style}"
    # 101 epochs of 6,656 photos, the first ten of them without a discriminator.
    config.steps = 56_000
    config.initial_steps = 5_550
    config.initial_learning_rate = 2e-4
    config.batch_size = 12
    config.image_size = 256
    config.generator = ConfigDict({"name": "animegan2", "dtype": "float32"})
    config.discriminator = ConfigDict({"name": "animegan2", "dtype": "float32"})
    config.data.content = config.data.style = ""  # for the command line to say
    config.data.crop_scale = (1.0, 1.0)

    config.losses.adversarial.kind = "lsgan"
    config.losses.adversarial.weight = 300.0
    config.losses.adversarial.real_weight = real
    config.losses.adversarial.fake_weight = fake
    config.losses.adversarial.grey_weight = grey
    config.losses.adversarial.smooth_weight = smooth
    config.losses.adversarial.smooth_grey = True
    config.losses.patch_nce.weight = 0.0
    config.losses.perceptual.weight = content
    config.losses.gram.weight = gram
    config.losses.gram.grey = True
    config.losses.color.weight = color
    # Half: the original halves the squared differences.
    config.losses.total_variation.weight = variation / 2
    config.losses.total_variation.squared = True

    config.optimizer.generator.learning_rate = 2e-5
    config.optimizer.generator.schedule = CONSTANT
    config.optimizer.discriminator.learning_rate = 4e-5
    config.optimizer.discriminator.schedule = CONSTANT
    return config
