"""VGG-19 (Simonyan & Zisserman 2014), its sixteen convolutions, trained on ImageNet.

Layers are `conv1_1` ... `conv5_4`, before the activation (AnimeGAN compares `conv4_4`), and
`relu1_1` ... `relu5_4`, after it. A 2x2 maximum pooling stands between blocks (`pool1` ...
`pool4`), so `relu3_1` has a quarter of the image's side.

Weights are understood in two layouts, which want different preprocessing:
- torchvision's, `features.<i>.weight` [out, in, 3, 3] in a .safetensors or .npz file: RGB,
  standardised;
- Keras's, `block<b>_conv<i>` with kernels [3, 3, in, out] in an .h5 file: the original Caffe
  weights, BGR in [0, 255] less the mean.
"""

from collections.abc import Iterator

import jax

from jaxstyle.features.network import (
    FeatureNetwork,
    Parameters,
    PretrainedNetwork,
    centred_bgr,
    conv,
    conv_shapes,
    input_shapes,
    max_pool_2x2,
    standardized_rgb,
)
from jaxstyle.features.weights import Arrays, keras_layer, torch_layer

BLOCKS = (2, 2, 4, 4, 4)  # convolutions in each block
CHANNELS = (64, 128, 256, 512, 512)
CAFFE_MEAN = (103.939, 116.779, 123.68)

# (block, number) of every convolution, both from 1.
CONVS = tuple((b, i) for b, count in enumerate(BLOCKS, 1) for i in range(1, count + 1))


def layers_of(convs: tuple[tuple[int, int], ...]) -> tuple[str, ...]:
    """Names of the layers of a network of these convolutions, shallow to deep."""
    layers = []
    for b, i in convs:
        pooled = [f"pool{b - 1}"] if i == 1 and b > 1 else []
        layers += [*pooled, f"conv{b}_{i}", f"relu{b}_{i}"]
    return tuple(layers)


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
        x = conv(parameters[f"conv{b}_{i}"], x, "SAME")
        yield f"conv{b}_{i}", x
        x = jax.nn.relu(x)
        yield f"relu{b}_{i}", x


def convert(arrays: Arrays) -> Parameters:
    """Parameters from the arrays of either layout."""
    if "features.0.weight" in arrays:
        # torchvision counts activations and poolings, too: two a convolution, one a block.
        numbers = [2 * n + b - 1 for n, (b, _) in enumerate(CONVS)]
        layers = [torch_layer(arrays, f"features.{number}") for number in numbers]
        preprocessing = standardized_rgb()
    else:
        layers = [keras_layer(arrays, f"block{b}_conv{i}") for b, i in CONVS]
        preprocessing = centred_bgr(CAFFE_MEAN)
    named = {f"conv{b}_{i}": layer for (b, i), layer in zip(CONVS, layers, strict=True)}
    return {"input": preprocessing, **named}


PRETRAINED = PretrainedNetwork(
    FeatureNetwork("vgg19", layers_of(CONVS), forward),
    shapes,
    convert,
    published=(
        "Keras publishes https://storage.googleapis.com/tensorflow/keras-applications/vgg19/"
        "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5, and torchvision's are "
        "https://huggingface.co/timm/vgg19.tv_in1k/resolve/main/model.safetensors"
    ),
)
