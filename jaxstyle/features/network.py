"""What all feature networks share: their interface, and a few operations."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxstyle.errors import UserError
from jaxstyle.features.weights import Arrays

# {layer: {"kernel": [k, k, in, out], "bias": [out]}}, and "input": {"kernel": [3, 3], "bias": [3]},
# which makes what the network was trained on of RGB in [-1, 1].
Parameters = dict[str, dict[str, Any]]

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406])
IMAGENET_STD = np.array([0.229, 0.224, 0.225])


@dataclasses.dataclass(frozen=True)
class FeatureNetwork:
    """An architecture that maps images to named feature maps.

    Attributes:
      name: of the network.
      layers: names of the feature maps it offers, shallow to deep.
      forward: a generator function (parameters, network input) that yields (layer, features) in
        the order of `layers`. What else it yields is not to be asked for, but tells where images
        turn out too small.
    """

    name: str
    layers: tuple[str, ...]
    forward: Callable[[Parameters, jax.Array], Iterator[tuple[str, jax.Array]]]

    def apply(
        self, parameters: Parameters, images: jax.Array, layers: Sequence[str] | None = None
    ) -> dict[str, jax.Array]:
        """The feature maps of `layers`, or of all, computed as far as the deepest of them.

        images: float32 [N, H, W, 3], RGB in [-1, 1]; the network's own preprocessing is applied.
        Returns {layer: float32 [N, h, w, C]}. Pure: it can be differentiated and jitted, `layers`
        being static.

        Raises `UserError` for a layer that is not there, or images too small to reach it.
        """
        layers = self.layers if layers is None else tuple(layers)
        self.check_layers(layers)
        found = {}
        x = _network_input(parameters["input"], images)
        for layer, features in self.forward(parameters, x):
            if 0 in features.shape:
                raise UserError(
                    f"images of {images.shape[2]}x{images.shape[1]} are too small for layer "
                    f"{layer} of {self.name}"
                )
            if layer in layers:
                found[layer] = features
            if len(found) == len(set(layers)):
                break
        return {layer: found[layer] for layer in layers}

    def check_layers(self, layers: Sequence[str]) -> None:
        """Raises `UserError` unless the network offers each of `layers`."""
        for layer in layers:
            if layer not in self.layers:
                raise UserError(
                    f"{self.name} has no layer {layer!r}; there are {', '.join(self.layers)}"
                )


@dataclasses.dataclass(frozen=True)
class PretrainedNetwork:
    """A network and what its weights look like.

    Attributes:
      network: the architecture.
      shapes: gives those of its parameters.
      convert: from the arrays of a published file, by name, to parameters as NumPy arrays; raises
        KeyError where an array is missing, and ValueError where one shows another network.
      published: where weights are to be had, as the end of a sentence.
      shipped: the file of weights that comes with jaxstyle, if one does.
    """

    network: FeatureNetwork
    shapes: Callable[[], Parameters]
    convert: Callable[[Arrays], Parameters]
    published: str
    shipped: Path | None = None


def conv_shapes(kernel_size: int, c_in: int, c_out: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes of the parameters of a square convolution."""
    return {
        "kernel": jax.ShapeDtypeStruct((kernel_size, kernel_size, c_in, c_out), jnp.float32),
        "bias": jax.ShapeDtypeStruct((c_out,), jnp.float32),
    }


def input_shapes() -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes of the parameters of the preprocessing."""
    return {
        "kernel": jax.ShapeDtypeStruct((3, 3), jnp.float32),
        "bias": jax.ShapeDtypeStruct((3,), jnp.float32),
    }


def standardized_rgb() -> dict[str, np.ndarray]:
    """torchvision's preprocessing: RGB in [0, 1], less the mean of ImageNet, over its deviation."""
    return {
        "kernel": np.diag(0.5 / IMAGENET_STD).astype(np.float32),
        "bias": ((0.5 - IMAGENET_MEAN) / IMAGENET_STD).astype(np.float32),
    }


def centred_bgr(mean: Sequence[float]) -> dict[str, np.ndarray]:
    """Caffe's preprocessing: BGR in [0, 255], less `mean`, which is in that order, too."""
    return {
        "kernel": 127.5 * np.eye(3, dtype=np.float32)[::-1],
        "bias": (127.5 - np.asarray(mean)).astype(np.float32),
    }


def conv(parameters: dict[str, jax.Array], x: jax.Array, padding: str) -> jax.Array:
    """A convolution of stride 1 with bias: [N, H, W, C] -> [N, H', W', features]."""
    y = lax.conv_general_dilated(
        x, parameters["kernel"], (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return y + parameters["bias"].reshape(1, 1, 1, -1)


def max_pool_2x2(x: jax.Array) -> jax.Array:
    """[N, H, W, C] -> [N, H//2, W//2, C]; an odd row or column at the end is dropped.

    Of strided slices: on CPU the gradient of a windowed maximum is a scatter, which takes some
    twenty times longer.
    """
    x = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]
    rows = jnp.maximum(x[:, 0::2], x[:, 1::2])
    return jnp.maximum(rows[:, :, 0::2], rows[:, :, 1::2])


def _network_input(parameters: dict[str, jax.Array], images: jax.Array) -> jax.Array:
    # Full precision: an accelerator's default for products would round 8-bit values.
    x = jnp.einsum("nhwc,cd->nhwd", images, parameters["kernel"], precision=lax.Precision.HIGHEST)
    return x + parameters["bias"].reshape(1, 1, 1, -1)
