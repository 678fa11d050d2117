"""Paired training of `realtime`: from aligned folders, a few painted key frames, or a teacher.

    python -m jaxstyle.main --config=configs/paired.py --workdir=runs/paired

learns the cel look of the embedded scenes from the two renderings of each. Your own:

- Aligned folders: --config.data.content=photos/ --config.data.style=painted/, of equal length or
  with the same file names. The content may be a film and the style a few painted frames of it, each
  named after its frame, from 0: painted/000120.png.
- A teacher, any bundle, whose results on your content the generator learns:
  --config.data.content=film.mp4 --config.data.teacher=slow.safetensors, with
  --config.data.teacher_style=picture.jpg if it takes a style image. --config.data.key_frames=8
  teaches on eight frames of the content only.

--config=configs/paired.py:gan adds a discriminator that sees content and result side by side
(pix2pix, Isola et al. 2017, L1 100 times as heavy): crisper, and slower to train.

Run time: five minutes on two CPU cores for eight frames of a clip of 240 (size nano, 1,150 steps);
expected then, on the frames in between: a third of the distance that the input has to the teacher.
"""

from ml_collections import ConfigDict

from jaxstyle.config import CONSTANT, default_config


def get_config(kind: str = "regression") -> ConfigDict:
    """Returns the config: regression, or gan with a conditional discriminator."""
    if kind not in ("regression", "gan"):
        raise ValueError(f"no kind {kind!r}; there are: regression, gan")
    config = default_config()
    config.name = "paired"
    config.steps = 20_000
    config.batch_size = 8
    config.image_size = 128
    config.data.content = "scenes:photo?count=512&size=256&first_seed=0"
    config.data.style = "scenes:cel?count=512&size=256&first_seed=0"
    config.data.paired = True
    config.data.crop_scale = (0.5, 1.0)

    config.losses.patch_nce.weight = 0.0
    config.losses.paired_l1.weight = 1.0
    config.losses.paired_gradient.weight = 1.0
    config.losses.warp.weight = 0.5
    config.losses.warp.schedule = CONSTANT
    config.losses.adversarial.weight = 0.0
    if kind == "gan":
        config.discriminator.width = 32
        config.losses.adversarial.kind = "lsgan"
        config.losses.adversarial.weight = 0.01
        config.losses.adversarial.conditional = True

    config.optimizer.generator.learning_rate = 1e-3
    config.optimizer.discriminator.learning_rate = 2e-4
    config.ema_decay = 0.99
    return config
