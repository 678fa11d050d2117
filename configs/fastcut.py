"""FastCUT (Park et al. 2020): one generator, content held by PatchNCE, at 256 px.

    python -m jaxstyle.main --config=configs/fastcut.py --workdir=runs/fastcut \\
        --config.data.content='tfds:cycle_gan/monet2photo?split=trainB' \\
        --config.data.style='tfds:cycle_gan/monet2photo?split=trainA'

Published hyperparameters: ResNet-9, a 70x70 patch discriminator with instance norm, LSGAN, PatchNCE
of weight 10 on five layers with 256 patches, no identity term, flip equivariance, one image a step.

Run time: not measured at full length. Expected figures: none measured here; the paper reports an
FID of 73.4 on horse2zebra.
"""

from ml_collections import ConfigDict

from jaxstyle.config import default_config


def get_config() -> ConfigDict:
    """Returns the config."""
    config = default_config()
    config.name = "fastcut"
    # 150 epochs of 1,334 images, those of horse2zebra, and 50 in which the learning rate falls.
    config.steps = 266_800
    config.batch_size = 1
    config.image_size = 256
    config.generator = ConfigDict({"name": "resnet", "width": 64, "blocks": 9, "dtype": "float32"})
    config.discriminator = ConfigDict(
        {"name": "patch", "width": 64, "layers": 3, "norm": "instance", "dtype": "float32"}
    )
    config.data.content = config.data.style = ""  # for the command line to say
    config.data.crop_scale = (256 / 286, 256 / 286)

    config.losses.adversarial.kind = "lsgan"
    config.losses.patch_nce.weight = 10.0
    config.losses.patch_nce.layers = (0, 1, 2, 3, 4)
    config.losses.patch_nce.patches = 256
    config.losses.patch_nce.width = 256
    config.losses.patch_nce.temperature = 0.07
    config.losses.patch_nce.flip = True

    for network in ("generator", "discriminator"):
        config.optimizer[network].schedule = ((0.75, 1.0), (1.0, 0.0))
    return config
