"""VGG-19 compressed 16 times (Wang et al. 2020, "Collaborative Distillation for ... Transfer").

A quarter of the channels, distilled so that its features serve style transfer as VGG-19's do.
Layers are named as VGG-19's and end at `relu5_1`. Convolutions pad by reflection, where VGG-19
pads with zeros.

Weights: an encoder of five blocks as .npz or .safetensors under its authors' names:
`conv<b><i>.weight` [out, in, 3, 3], and `conv0`, a 1x1 convolution that makes BGR in [0, 255] less
the mean of RGB in [0, 1]. Of what they publish, `5SE` is distilled; `e5_base` is the pruned network
before that, whose activations fade from layer to layer (mean 1 at relu1_1, 0.001 at relu4_1): of
the halves of 100 photographs 23 find their other half by its relu4_1, 28 with random weights.
"""

from collections.abc import Iterator

import jax

from jaxstyle.features import vgg19
from jaxstyle.features.network import (
    FeatureNetwork,
    Parameters,
    conv,
    conv_shapes,
    input_shapes,
    max_pool_2x2,
)
from jaxstyle.features.weights import Arrays, torch_layer
from jaxstyle.models.layers import reflect_pad

PUBLISHED = (
    "its authors publish wct_se_16x_new/5SE.pth at "
    "https://github.com/MingSun-Tse/Collaborative-Distillation; save its arrays as .npz"
)

CHANNELS = (16, 32, 64, 128, 128)
CONVS = tuple((b, i) for b, i in vgg19.CONVS if (b, i) <= (5, 1))


def shapes() -> Parameters:
    """Shapes of the parameters."""
    found, c_in = {"input": input_shapes()}, 3
    for b, i in CONVS:
        found[f"conv{b}_{i}"] = conv_shapes(3, c_in, CHANNELS[b - 1])
        c_in = CHANNELS[b - 1]
    return found


def forward(parameters: Parameters, x: jax.Array) -> Iterator[tuple[str, jax.Array]]:
    """As in `FeatureNetwork`."""
    for b, i in CONVS:
        if i == 1 and b > 1:
            x = max_pool_2x2(x)
            yield f"pool{b - 1}", x
        x = conv(parameters[f"conv{b}_{i}"], reflect_pad(x, 1, gathered=True), "VALID")
        yield f"conv{b}_{i}", x
        x = jax.nn.relu(x)
        yield f"relu{b}_{i}", x


def convert(arrays: Arrays) -> Parameters:
    """Parameters from the arrays of the published encoder."""
    conv0 = torch_layer(arrays, "conv0")
    kernel = conv0["kernel"].reshape(3, 3) / 2  # it takes [0, 1], images come in [-1, 1]
    preprocessing = {"kernel": kernel, "bias": conv0["bias"] + kernel.sum(axis=0)}
    named = {f"conv{b}_{i}": torch_layer(arrays, f"conv{b}{i}") for b, i in CONVS}
    return {"input": preprocessing, **named}


NETWORK = FeatureNetwork("vgg19_small", vgg19.layers_of(CONVS), forward)
