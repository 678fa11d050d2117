"""Augmentation: geometry on the host (NumPy, one image), colour on the device (JAX, a batch)."""

import cv2
import jax
import jax.numpy as jnp
import numpy as np

# ------------------------------------------------------------------------------------------------
# Host side: uint8 RGB images, randomness from a np.random.Generator.
# ------------------------------------------------------------------------------------------------


def sample_crop(
    height: int, width: int, scale: tuple[float, float], rng: np.random.Generator
) -> tuple[int, int, int]:
    """A random square inside an image: (top, left, side) in pixels.

    Args:
      height: of the image, pixels.
      width: of the image, pixels.
      scale: range of the side as a share of the image's shorter side, 0 < low <= high <= 1.
      rng: source of randomness.
    """
    shorter = min(height, width)
    side = max(1, round(rng.uniform(*scale) * shorter))
    return sample_square(height, width, side, rng)


def sample_square(
    height: int, width: int, side: int, rng: np.random.Generator
) -> tuple[int, int, int]:
    """A square of `side` pixels anywhere inside an image: (top, left, side)."""
    top = int(rng.integers(height - side + 1))
    left = int(rng.integers(width - side + 1))
    return top, left, side


def resized_crop(image: np.ndarray, crop: tuple[int, int, int], size: int) -> np.ndarray:
    """Cuts (top, left, side) out of [H, W, 3] uint8 and scales it to [size, size, 3] uint8.

    Area averaging on the way down, which does not alias; bilinear on the way up.
    """
    top, left, side = crop
    return resized(image[top : top + side, left : left + side], size)


def resized(image: np.ndarray, side: int) -> np.ndarray:
    """Scales [H, W, 3] uint8 so that the shorter side is `side` pixels, as `resized_crop` does."""
    height, width = image.shape[:2]
    shorter = min(height, width)
    if shorter == side:
        return np.ascontiguousarray(image)
    size = (max(side, round(width * side / shorter)), max(side, round(height * side / shorter)))
    interpolation = cv2.INTER_AREA if shorter > side else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=interpolation)


def random_resized_crop(
    image: np.ndarray, size: int, scale: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """A random square of [H, W, 3] uint8, scaled to [size, size, 3] uint8 (see `sample_crop`).

    The aspect ratio is kept: a stylizer must not learn to squeeze what it sees. Images smaller than
    `size` are scaled up.
    """
    height, width = image.shape[:2]
    return resized_crop(image, sample_crop(height, width, scale, rng), size)


def smooth_edges(image: np.ndarray) -> np.ndarray:
    """Blurs an image along its edges only: [H, W, 3] uint8 -> the same shape and type.

    The negatives of CartoonGAN (Chen et al., CVPR 2018): a discriminator that must reject them
    learns that crisp outlines are part of the style. Canny edges (100, 200), dilated by 5x5; a 5x5
    Gaussian blur replaces the pixels there.
    """
    edges = cv2.Canny(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), 100, 200)
    near_edges = cv2.dilate(edges, np.ones((5, 5), np.uint8)) > 0
    blurred = cv2.GaussianBlur(image, (5, 5), 0)
    return np.where(near_edges[..., None], blurred, image)


# ------------------------------------------------------------------------------------------------
# Device side: pure functions of a batch and a PRNG key, to be called inside a jitted step.
# ------------------------------------------------------------------------------------------------


def to_float(images: jax.Array) -> jax.Array:
    """Uint8 in [0, 255] -> float32 in [-1, 1], any shape."""
    return images.astype(jnp.float32) / 127.5 - 1.0


def keys_of_images(key: jax.Array, index: jax.Array) -> jax.Array:
    """A PRNG key for each image, keys [N], from the step's key and the images' numbers, int32 [N].

    What is drawn for an image depends on its number in the global batch, and so neither on the
    device that it is on nor on the micro-batch that it is in.
    """
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(index)


def random_flip(images: jax.Array, keys: jax.Array) -> jax.Array:
    """Mirrors each image left to right with probability 1/2: [N, H, W, C], any dtype; keys [N].

    The decision depends on the key alone: the same keys flip the two sides of pairs alike.
    """
    flip = jax.vmap(jax.random.bernoulli)(keys).reshape(-1, 1, 1, 1)
    return jnp.where(flip, images[:, :, ::-1], images)


def color_jitter(
    images: jax.Array,
    keys: jax.Array,
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
) -> jax.Array:
    """Random brightness, contrast and saturation, drawn for each image on its own.

    Each strength s in [0, 1) draws a factor from U(1 - s, 1 + s): brightness multiplies the image,
    then contrast its distance from its mean grey, then saturation that from each pixel's own grey
    (Rec. 601 luma). Strength 0 changes nothing.

    Args:
      images: [N, H, W, 3] float32 in [-1, 1].
      keys: a PRNG key for each image, [N].
      brightness: strength.
      contrast: strength.
      saturation: strength.

    Returns:
      The same shape, dtype and range; what leaves the range is clipped, once, at the end.
    """
    strengths = jnp.array([brightness, contrast, saturation], images.dtype)
    draws = jax.vmap(lambda key: jax.random.uniform(key, (3,), images.dtype, -1.0, 1.0))(keys)
    factors = 1.0 + strengths[:, None] * draws.T
    brighten, stretch, saturate = factors[:, :, None, None, None]

    x = (images + 1.0) / 2.0 * brighten
    mean_grey = jnp.mean(_luma(x), axis=(1, 2), keepdims=True)
    x = mean_grey + (x - mean_grey) * stretch
    grey = _luma(x)
    x = grey + (x - grey) * saturate
    return jnp.clip(x * 2.0 - 1.0, -1.0, 1.0)


def add_noise(images: jax.Array, keys: jax.Array, strongest: float) -> jax.Array:
    """Normal noise in grains of 1, 2 and 4 pixels, as sensors, film and compression leave it.

    The standard deviation of each grain is drawn for each image, that of all together is at most
    `strongest`. images: float32 [N, H, W, 3] in [-1, 1], which the result may leave, H and W
    multiples of 4. keys: [N].
    """
    grains = (1, 2, 4)

    def noise(key):
        strength_key, *grain_keys = jax.random.split(key, 1 + len(grains))
        strengths = jax.random.uniform(strength_key, (len(grains),), images.dtype)
        height, width, channels = images.shape[1:]
        total = jnp.zeros(images.shape[1:], images.dtype)
        for grain, grain_key, strength in zip(grains, grain_keys, strengths, strict=True):
            shape = (height // grain, 1, width // grain, 1, channels)
            coarse = jax.random.normal(grain_key, shape, images.dtype)
            total += strength * coarse.repeat(grain, 1).repeat(grain, 3).reshape(total.shape)
        return total * (strongest / len(grains) ** 0.5)

    return images + jax.vmap(noise)(keys)


def _luma(rgb: jax.Array) -> jax.Array:
    """[..., 3] -> [..., 1], Rec. 601."""
    return 0.299 * rgb[..., 0:1] + 0.587 * rgb[..., 1:2] + 0.114 * rgb[..., 2:3]
