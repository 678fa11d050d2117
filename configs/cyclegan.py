"""CycleGAN (Zhu et al. 2017): two generators that undo each other, at 256 px.

    python -m jaxstyle.main --config=configs/cyclegan.py --workdir=runs/cyclegan \\
        --config.data.content='tfds:cycle_gan/monet2photo?split=trainB' \\
        --config.data.style='tfds:cycle_gan/monet2photo?split=trainA'

Published hyperparameters: ResNet-9, a 70x70 patch discriminator with instance norm, LSGAN, cycle
10, identity 5, a pool of 50 results, Adam at 2e-4 with linear decay in the second half, one image a
step. Upsampling is by resizing and convolving, where the original transposes convolutions.

Run time: not measured at full length. Expected figures: none measured here; the CUT paper reports
an FID of 77.2 for CycleGAN on horse2zebra.
"""

from ml_collections import ConfigDict

from jaxstyle.config import default_config


def get_config() -> ConfigDict:
    """Returns the config."""
    config = default_config()
    config.name = "cyclegan"
    # 200 epochs of 1,334 images, those of horse2zebra.
    config.steps = 266_800
    config.batch_size = 1
    config.image_size = 256
    config.generator = ConfigDict({"name": "resnet", "width": 64, "blocks": 9, "dtype": "float32"})
    config.discriminator = ConfigDict(
        {"name": "patch", "width": 64, "layers": 3, "norm": "instance", "dtype": "float32"}
    )
    config.data.content = config.data.style = ""  # for the command line to say
    # Images are scaled to 286 pixels and cropped to 256.
    config.data.crop_scale = (256 / 286, 256 / 286)

    config.losses.adversarial.kind = "lsgan"
    config.losses.adversarial.pool = 50
    config.losses.patch_nce.weight = 0.0
    config.losses.cycle.weight = 10.0
    config.losses.identity.weight = 5.0
    return config
