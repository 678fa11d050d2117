"""VGG-19 distilled into 141,000 weights, which ship with jaxstyle ("PCA-KD", Chiu & Gurari 2022).

Layers are the four that style transfer compares: `relu1_1`, `relu2_1`, `relu3_1` and `relu4_1`,
after the activation, of 1, 1/2, 1/4 and 1/8 of the image's side. There it was trained to give the
principal components of VGG-19's features: 10, 20, 58 and 64 channels in place of 64, 128, 256 and
512. It has as many convolutions between them as VGG-19 has, but those resemble nothing of it, so
they are no layers. Convolutions pad by reflection.

What it was trained on is RGB in [0, 1], of which a fixed 1x1 convolution (`preprocess`) makes other
three channels.

Weights are `preprocess`, `conv1_1`, `conv1_2`, `conv2_1`, `conv2_2`, `conv3_1` ... `conv3_4` and
`conv4_1`, of each a `kernel` [k, k, in, out] and a `bias`: the authors' encoder, without the bases
that take its features back to VGG-19's.
"""

from collections.abc import Iterator
from pathlib import Path

import jax

from jaxstyle.features.network import (
    FeatureNetwork,
    Parameters,
    PretrainedNetwork,
    conv,
    conv_shapes,
    input_shapes,
    max_pool_2x2,
)
from jaxstyle.features.weights import Arrays, keras_layer
from jaxstyle.models.layers import reflect_pad

CHANNELS = {1: 10, 2: 20, 3: 58, 4: 64}  # of the convolutions of each block

# (block, number) of every convolution, both from 1.
CONVS = ((1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2), (3, 3), (3, 4), (4, 1))


def shapes() -> Parameters:
    """Shapes of the parameters."""
    found, c_in = {"input": input_shapes()}, 3
    for b, i in CONVS:
        found[f"conv{b}_{i}"] = conv_shapes(3, c_in, CHANNELS[b])
        c_in = CHANNELS[b]
    return found


def forward(parameters: Parameters, x: jax.Array) -> Iterator[tuple[str, jax.Array]]:
    """As in `FeatureNetwork`."""
    for b, i in CONVS:
        if i == 1 and b > 1:
            x = max_pool_2x2(x)
            yield f"pool{b - 1}", x
        padded = reflect_pad(x, 1, gathered=True)
        x = jax.nn.relu(conv(parameters[f"conv{b}_{i}"], padded, "VALID"))
        if i == 1:
            yield f"relu{b}_1", x


def convert(arrays: Arrays) -> Parameters:
    """Parameters from the arrays of the encoder."""
    preprocess = keras_layer(arrays, "preprocess")
    if preprocess["kernel"].shape != (1, 1, 3, 3):
        raise KeyError("preprocess as a 1x1 convolution of three channels")
    kernel = preprocess["kernel"][0, 0] / 2  # it takes [0, 1], images come in [-1, 1]
    preprocessing = {"kernel": kernel, "bias": preprocess["bias"] + kernel.sum(axis=0)}
    convs = {f"conv{b}_{i}": keras_layer(arrays, f"conv{b}_{i}") for b, i in CONVS}
    return {"input": preprocessing, **convs}


PRETRAINED = PretrainedNetwork(
    FeatureNetwork("pca_kd_vgg", tuple(f"relu{b}_1" for b in CHANNELS), forward),
    shapes,
    convert,
    published="without config.features.weights it takes those that ship",
    shipped=Path(__file__).parent / "shipped_weights" / "pca_kd_vgg.safetensors",
)
