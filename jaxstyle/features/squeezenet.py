"""SqueezeNet 1.1 (Iandola et al. 2016), trained on ImageNet: 0.7 M parameters without its head.

Layers are `relu1`, the outputs of the fire modules `fire2` ... `fire9`, and `pool1`, `pool3` and
`pool5`, each after what it is numbered by. The seven that LPIPS compares are `LPIPS_LAYERS`.

Weights are understood in two layouts, which want different preprocessing:
- torchvision's `squeezenet1_1`, `features.<i>.weight` in a .safetensors or .npz file: RGB,
  standardised;
- the Keras ports', `fire2/squeeze1x1` and so on in an .h5 or .npz file: the original Caffe
  weights, BGR in [0, 255] less the mean, as the port's example does. Of 100 photographs' halves
  56 find their other half by features of `fire9` so, and 45 with standardised RGB, for which 9 %
  of its channels are never active.
"""

from collections.abc import Iterator

import jax
import jax.numpy as jnp

from jaxstyle.features.network import (
    FeatureNetwork,
    Parameters,
    PretrainedNetwork,
    centred_bgr,
    conv,
    conv_shapes,
    input_shapes,
    standardized_rgb,
)
from jaxstyle.features.weights import Arrays, keras_layer, torch_layer
from jaxstyle.models.layers import down_conv

LPIPS_LAYERS = ("relu1", "fire3", "fire5", "fire6", "fire7", "fire8", "fire9")

# Channels after the squeeze of fire modules 2 to 9; each expands to eight times as many.
SQUEEZED = {2: 16, 3: 16, 4: 32, 5: 32, 6: 48, 7: 48, 8: 64, 9: 64}
POOLED = (2, 4, 6)  # the fire modules before which there is a pooling
CAFFE_MEAN = (104.006, 116.669, 122.679)
TORCH_NUMBERS = {2: 3, 3: 4, 4: 6, 5: 7, 6: 9, 7: 10, 8: 11, 9: 12}
PARTS = ("squeeze1x1", "expand1x1", "expand3x3")


def shapes() -> Parameters:
    """Shapes of the parameters."""
    found, c_in = {"input": input_shapes(), "conv1": conv_shapes(3, 3, 64)}, 64
    for number, squeezed in SQUEEZED.items():
        found[f"fire{number}/squeeze1x1"] = conv_shapes(1, c_in, squeezed)
        found[f"fire{number}/expand1x1"] = conv_shapes(1, squeezed, 4 * squeezed)
        found[f"fire{number}/expand3x3"] = conv_shapes(3, squeezed, 4 * squeezed)
        c_in = 8 * squeezed
    return found


def forward(parameters: Parameters, x: jax.Array) -> Iterator[tuple[str, jax.Array]]:
    """As in `FeatureNetwork`."""
    x = down_conv(x, parameters["conv1"]["kernel"])
    x = jax.nn.relu(x + parameters["conv1"]["bias"].reshape(1, 1, 1, -1))
    yield "relu1", x
    for number in SQUEEZED:
        if number in POOLED:
            x = max_pool_3x3(x)
            yield f"pool{number - 1}", x
        fire = [parameters[f"fire{number}/{part}"] for part in PARTS]
        squeezed = jax.nn.relu(conv(fire[0], x, "VALID"))
        expanded = [conv(part, squeezed, "SAME") for part in fire[1:]]
        x = jax.nn.relu(jnp.concatenate(expanded, axis=-1))
        yield f"fire{number}", x


def max_pool_3x3(x: jax.Array) -> jax.Array:
    """The maximum of 3x3 windows, two pixels apart; the last ones may reach over the edge.

    So Caffe and torchvision's `ceil_mode` count them; Keras ports, whose weights are Caffe's, drop
    windows that do not fit. Of strided slices, as in `max_pool_2x2`.
    """
    for axis in (1, 2):
        windows = x.shape[axis] // 2
        # One line more where the last window reaches over the edge.
        padding = [(0, 1 - x.shape[i] % 2 if i == axis else 0, 0) for i in range(4)]
        x = jax.lax.pad(x, jnp.array(-jnp.inf, x.dtype), padding)
        first, second, third = (
            x[(slice(None),) * axis + (slice(start, start + 2 * windows, 2),)] for start in range(3)
        )
        x = jnp.maximum(jnp.maximum(first, second), third)
    return x


def convert(arrays: Arrays) -> Parameters:
    """Parameters from the arrays of either layout."""
    names = [f"fire{number}/{part}" for number in SQUEEZED for part in PARTS]
    if "features.0.weight" in arrays:
        parts = ("squeeze", *PARTS[1:])
        numbers = [f"features.{TORCH_NUMBERS[n]}.{part}" for n in SQUEEZED for part in parts]
        layers = [torch_layer(arrays, number) for number in ("features.0", *numbers)]
        preprocessing = standardized_rgb()
    else:
        layers = [keras_layer(arrays, name) for name in ("conv1", *names)]
        preprocessing = centred_bgr(CAFFE_MEAN)
    return {"input": preprocessing, **dict(zip(("conv1", *names), layers, strict=True))}


LAYERS = (
    *("relu1", "pool1", "fire2", "fire3", "pool3", "fire4", "fire5", "pool5"),
    *("fire6", "fire7", "fire8", "fire9"),
)
PRETRAINED = PretrainedNetwork(
    FeatureNetwork("squeezenet", LAYERS, forward),
    shapes,
    convert,
    published=(
        "a port of the Caffe weights is https://github.com/rcmalli/keras-squeezenet/releases/download/"
        "v1.0/squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5"
    ),
)
