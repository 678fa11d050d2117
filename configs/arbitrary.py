"""Any style from one picture: MicroAST (Wang et al. 2023), content and style as two knobs.

    python -m jaxstyle.main --config=configs/arbitrary.py --workdir=runs/arbitrary \\
        --config.data.content=/path/to/photos --config.data.style=/path/to/paintings \\
        --config.content_weight=1.0 --config.style_weight=1.0

    python -m jaxstyle.stylize 0 window --model=runs/arbitrary/model.safetensors \\
        --style=starry.jpg --style=wave.jpg

The style image is encoded once; the weights of several are changed while it runs. The published
weights of MicroAST become a bundle by `python -m jaxstyle.convert`.

Losses as published: features of VGG19 for the content, their means and deviations for the style
(AdaIN, Huang & Belongie 2017), and style codes that tell the styles of a batch apart. The VGG19 of
the original is normalised channel by channel; here each layer is, so that any of the networks does.
The default is VGG19 distilled by Chiu & Gurari 2022, whose weights ship; the whole one, as
published, is --config.features.network=vgg19 --config.features.weights=vgg19.safetensors.

Run time: not measured at full length. Expected figures: none yet.
"""

from ml_collections import ConfigDict

from jaxstyle.config import default_config


def get_config() -> ConfigDict:
    """Returns the config."""
    config = default_config()
    config.name = "arbitrary"
    config.steps = 160_000
    config.batch_size = 8
    config.image_size = 256
    config.generator = ConfigDict({"name": "microast", "dtype": "float32"})
    config.data.content = "tfds:cycle_gan/monet2photo?split=trainB"
    config.data.style = "tfds:cycle_gan/vangogh2photo?split=trainA"

    # Images are scaled to 512 pixels and cropped to 256.
    config.data.crop_scale = (0.5, 0.5)
    config.features.network = "pca_kd_vgg"
    config.features.normalized = True

    config.losses.adversarial.weight = 0.0
    config.losses.patch_nce.weight = 0.0
    config.losses.perceptual.weight = 1.0
    config.losses.perceptual.layers = ("relu4_1",)
    config.losses.perceptual.squared = True
    config.losses.statistics.weight = 3.0
    config.losses.statistics.layers = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
    config.losses.style_contrast.weight = 3.0

    config.optimizer.generator.learning_rate = 1e-4
    # 1 / (1 + 5e-5 * step), in straight lines.
    config.optimizer.generator.schedule = tuple(
        (fraction, 1 / (1 + 5e-5 * fraction * config.steps))
        for fraction in (0.0, 0.05, 0.1, 0.2, 0.35, 0.6, 1.0)
    )
    config.optimizer.generator.b1 = 0.9
    return config
