"""Generators of noise learn a set of pictures that the test draws: a distance to it falls."""

import functools

import cv2
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from jaxstyle.config import default_config
from jaxstyle.data.sources import open_source
from jaxstyle.evaluation.swd import sliced_wasserstein
from jaxstyle.inference.bundle import load_bundle
from jaxstyle.inference.noise import sample_images
from jaxstyle.models.examples import init_parameters
from jaxstyle.models.growth import standing_statistics
from jaxstyle.training.train_loop import train

pytestmark = pytest.mark.slow

COUNT = 500


def drawn(rng: np.random.Generator) -> np.ndarray:
    """A bright disc before a dark sky over a green ground: uint8 [32, 32, 3]."""
    picture = np.empty((32, 32, 3), np.uint8)
    horizon = int(rng.integers(14, 26))
    picture[:horizon] = (20, 30, int(rng.integers(90, 160)))
    picture[horizon:] = (30, int(rng.integers(80, 140)), 40)
    center = (int(rng.integers(6, 26)), int(rng.integers(5, 14)))
    return cv2.circle(picture, center, int(rng.integers(3, 6)), (250, 220, 60), -1, cv2.LINE_AA)


@pytest.fixture(scope="module")
def cifar(tmp_path_factory):
    """A folder in the binary format of CIFAR-10: a label byte, then three planes of 32x32."""
    folder = tmp_path_factory.mktemp("cifar")
    rng = np.random.default_rng(0)
    for name in (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"):
        records = [
            np.concatenate([[rng.integers(10)], drawn(rng).transpose(2, 0, 1).reshape(-1)])
            for _ in range(COUNT // 5)
        ]
        (folder / name).write_bytes(np.concatenate(records).astype(np.uint8).tobytes())
    return folder


def distance(generator: nn.Module, parameters, statistics, data: str) -> float:
    """Of 200 samples of the generator from the pictures, mean over the scales."""
    size = generator.image_size
    noise = np.random.default_rng(1).standard_normal((200, generator.latent), np.float32)
    sample = jax.jit(functools.partial(sample_images, generator))
    samples = np.asarray(sample(parameters, noise, statistics))
    source = open_source(data, size=32)
    area = cv2.INTER_AREA
    pictures = [cv2.resize(source[i], (size, size), interpolation=area) for i in range(200)]
    # The metric takes 32 pixels and more.
    sets = [np.stack([cv2.resize(p, (64, 64)) for p in images]) for images in (samples, pictures)]
    a, b = (jnp.asarray(images, jnp.float32) / 255 for images in sets)
    # Of fewer patches and directions than usual: half of a distance shows in these as well.
    few = {"projections": 64, "patches_per_image": 32}
    return float(sliced_wasserstein(a, b, jax.random.key(0), **few)["swd/mean"])


def noise_config(data: str, **changes) -> ConfigDict:
    config = default_config()
    config.data.content = ""
    config.data.style = data
    config.data.crop_scale = (1.0, 1.0)
    config.losses.patch_nce.weight = 0.0
    config.devices = 1
    config.judge = False
    for name in ("generator", "discriminator"):
        config[name] = ConfigDict(changes.pop(name))
    config.update_from_flattened_dict(changes)
    for name in ("sample_every", "checkpoint_every", "log_every"):
        config[name] = config.steps
    return config.lock()


def distances(config: ConfigDict, data: str, workdir) -> tuple[float, float]:
    """That of the untrained generator, and what is left of it after training."""
    train(config, workdir)
    bundle = load_bundle(workdir / "model.safetensors")
    generator = bundle.generator
    init = functools.partial(init_parameters, generator, image_size=generator.image_size)
    untrained = jax.jit(init)(jax.random.key(0))
    before = distance(generator, untrained, standing_statistics(generator, untrained), data)
    return before, distance(generator, bundle.parameters, bundle.statistics, data)


def test_dcgan_learns_a_set_like_cifar(cifar, tmp_path):
    data = f"cifar10:{cifar}"
    config = noise_config(
        data,
        generator={"name": "dcgan", "width": 16, "image_size": 32, "dtype": "float32"},
        discriminator={"name": "dcgan", "width": 16, "image_size": 32, "dtype": "float32"},
        **{
            "steps": 400,
            "batch_size": 16,
            "image_size": 32,
            "losses.adversarial.kind": "bce",
            "optimizer.generator.learning_rate": 2e-3,
            "optimizer.discriminator.learning_rate": 5e-4,
            "ema_decay": 0.9,
        },
    )
    before, after = distances(config, data, tmp_path)
    assert after < before / 2


def test_progan_learns_it_through_two_stages(cifar, tmp_path):
    data = f"cifar10:{cifar}"
    config = noise_config(
        data,
        generator={"name": "progan", "width": 32, "latent": 32, "image_size": 16},
        discriminator={"name": "progan", "width": 32, "image_size": 16},
        **{
            "steps": 300,
            "batch_size": 16,
            "image_size": 16,
            "growth.stages": (0.0, 0.2, 0.5),
            "losses.adversarial.kind": "wgan",
            "losses.gradient_penalty.weight": 10.0,
            "losses.drift.weight": 1e-3,
            "optimizer.generator.learning_rate": 2e-3,
            "optimizer.discriminator.learning_rate": 2e-3,
            "optimizer.generator.b1": 0.0,
            "optimizer.discriminator.b1": 0.0,
            "optimizer.generator.b2": 0.99,
            "optimizer.discriminator.b2": 0.99,
            "ema_decay": 0.9,
        },
    )
    before, after = distances(config, data, tmp_path)
    assert after < before / 2
