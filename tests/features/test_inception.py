"""FID's InceptionV3 against NumPy, written again from the published names, at 1/8 of its channels.

At full size it agrees with torch-fidelity's on random weights to 5e-7 of the largest feature; that
was compared by hand.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.errors import UserError
from jaxstyle.features import inception

pytestmark = pytest.mark.slow


def published_arrays(divisor=1):
    """Random arrays as pytorch-fid names them, with a part of the channels."""
    rng = np.random.default_rng(0)
    arrays = {}
    for name, layer in inception.shapes().items():
        height, width, c_in, c_out = layer["kernel"].shape
        c_in = c_in if c_in == 3 else c_in // divisor
        c_out //= divisor
        kernel_std = (2 / (c_in * height * width)) ** 0.5
        arrays[f"{name}.conv.weight"] = rng.normal(0, kernel_std, (c_out, c_in, height, width))
        arrays[f"{name}.bn.weight"] = rng.uniform(0.7, 1.3, c_out)
        arrays[f"{name}.bn.bias"] = rng.normal(0, 0.1, c_out)
        arrays[f"{name}.bn.running_mean"] = rng.normal(0, 0.1, c_out)
        arrays[f"{name}.bn.running_var"] = rng.uniform(0.001, 1.5, c_out)
    arrays["fc.bias"] = np.zeros(1008)
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def windows(x, size, stride=1):
    found = np.lib.stride_tricks.sliding_window_view(x, size, axis=(1, 2))
    return found[:, ::stride, ::stride]


def max_pool(x):
    return windows(x, (3, 3), 2).max(axis=(3, 4))


def same_size_pool(x, reduce):
    """Outside the image there are NaNs, which do not count."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    return reduce(windows(padded, (3, 3)), axis=(3, 4))


def numpy_inception(arrays, x):
    """[3, 299, 299] to [features]."""

    def conv(name, x, stride=1, padding=(0, 0)):
        kernel = arrays[f"{name}.conv.weight"].astype(np.float64)
        x = np.pad(x, ((0, 0), (padding[0],) * 2, (padding[1],) * 2))
        y = np.einsum(
            "chwij,ocij->ohw", windows(x, kernel.shape[2:], stride), kernel, optimize=True
        )
        gain, offset, mean, variance = (
            arrays[f"{name}.bn.{part}"].astype(np.float64)[:, None, None]
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        return np.maximum((y - mean) / np.sqrt(variance + 0.001) * gain + offset, 0)

    def same(name, x):
        height, width = arrays[f"{name}.conv.weight"].shape[2:]
        return conv(name, x, padding=(height // 2, width // 2))

    def chain(block, parts, x):
        for part in parts.split():
            x = same(f"{block}.{part}", x)
        return x

    x = conv("Conv2d_2a_3x3", conv("Conv2d_1a_3x3", x, stride=2))
    x = conv("Conv2d_3b_1x1", max_pool(same("Conv2d_2b_3x3", x)))
    x = max_pool(conv("Conv2d_4a_3x3", x))
    for block in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
        parts = [chain(block, "branch1x1", x), chain(block, "branch5x5_1 branch5x5_2", x)]
        parts += [chain(block, "branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3", x)]
        x = np.concatenate([*parts, chain(block, "branch_pool", same_size_pool(x, np.nanmean))])
    double = chain("Mixed_6a", "branch3x3dbl_1 branch3x3dbl_2", x)
    parts = [conv("Mixed_6a.branch3x3", x, 2), conv("Mixed_6a.branch3x3dbl_3", double, 2)]
    x = np.concatenate([*parts, max_pool(x)])
    for block in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
        parts = [chain(block, "branch1x1", x)]
        parts += [chain(block, "branch7x7_1 branch7x7_2 branch7x7_3", x)]
        parts += [chain(block, " ".join(f"branch7x7dbl_{i}" for i in range(1, 6)), x)]
        x = np.concatenate([*parts, chain(block, "branch_pool", same_size_pool(x, np.nanmean))])
    single = same("Mixed_7a.branch3x3_1", x)
    double = chain("Mixed_7a", "branch7x7x3_1 branch7x7x3_2 branch7x7x3_3", x)
    parts = [conv("Mixed_7a.branch3x3_2", single, 2), conv("Mixed_7a.branch7x7x3_4", double, 2)]
    x = np.concatenate([*parts, max_pool(x)])
    for block, reduce in (("Mixed_7b", np.nanmean), ("Mixed_7c", np.nanmax)):
        single = same(f"{block}.branch3x3_1", x)
        double = chain(block, "branch3x3dbl_1 branch3x3dbl_2", x)
        parts = [same(f"{block}.branch1x1", x)]
        parts += [same(f"{block}.branch3x3_{end}", single) for end in ("2a", "2b")]
        parts += [same(f"{block}.branch3x3dbl_{end}", double) for end in ("3a", "3b")]
        x = np.concatenate([*parts, chain(block, "branch_pool", same_size_pool(x, reduce))])
    return x.mean(axis=(1, 2))


def resized(frame, size):
    """Pixel by pixel."""
    height, width, _ = frame.shape
    result = np.zeros((size, size, 3))
    for row in range(size):
        for column in range(size):
            y, x = row * height / size, column * width / size
            top, left = int(y), int(x)
            bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
            upper = frame[top, left] * (1 - (x - left)) + frame[top, right] * (x - left)
            lower = frame[bottom, left] * (1 - (x - left)) + frame[bottom, right] * (x - left)
            result[row, column] = upper * (1 - (y - top)) + lower * (y - top)
    return result


def test_has_the_published_size():
    # Keras's count of what is trained of InceptionV3 without its top: kernels and offsets.
    assert sum(leaf.size for leaf in jax.tree.leaves(inception.shapes())) == 21_768_352
    images = jax.ShapeDtypeStruct((2, 299, 299, 3), jnp.float32)
    features = jax.eval_shape(inception.forward, inception.shapes(), images)
    assert (features.shape, features.dtype) == ((2, inception.FEATURES), jnp.float32)


def test_frames_are_resized_as_tensorflow_1_does():
    frames = np.random.default_rng(0).integers(0, 256, (2, 16, 7, 3), dtype=np.uint8)
    expected = [resized(frame.astype(np.float64), 11) for frame in frames]
    np.testing.assert_allclose(
        jax.jit(inception.resize, static_argnums=1)(frames, 11), expected, atol=1e-3
    )


def test_activations_match_numpy_in_batches_and_beyond():
    arrays = published_arrays(divisor=8)
    frames = np.random.default_rng(1).integers(0, 256, (3, 299, 299, 3), dtype=np.uint8)
    found = inception.activations(inception.convert(arrays), frames, batch=2)
    assert found.dtype == np.float32
    expected = [
        numpy_inception(arrays, (frame.transpose(2, 0, 1).astype(np.float64) - 128) / 128)
        for frame in frames
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.max(expected))


def test_frames_of_another_kind_are_refused():
    for frames in (np.zeros((1, 9, 9, 3), np.float32), np.zeros((0, 9, 9, 3), np.uint8)):
        with pytest.raises(ValueError, match=r"needs uint8 frames \[N, H, W, 3\], got"):
            inception.activations({}, frames)


@pytest.fixture
def stem_only(monkeypatch):
    """Files of kilobytes instead of 90 MB."""
    monkeypatch.setattr(inception, "BLOCKS", inception.BLOCKS[:1])
    return published_arrays()


def test_published_weights_are_loaded(tmp_path, stem_only):
    np.savez(tmp_path / "w.npz", **stem_only)
    loaded = inception.load(tmp_path / "w.npz")
    assert jax.tree.map(jnp.shape, loaded) == jax.tree.map(lambda s: s.shape, inception.shapes())
    assert {leaf.dtype for leaf in jax.tree.leaves(loaded)} == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"fc.bias": np.zeros(1000)}, r"another network or training .* fc.bias is \(1000,\)"),
        ({"Conv2d_2a_3x3.bn.bias": np.zeros(3)}, r"Conv2d_2a_3x3.bn.bias is \(3,\), should be"),
        ({"Conv2d_4a_3x3.conv.weight": None}, "Conv2d_4a_3x3.conv.weight is missing; https:"),
    ],
)
def test_weights_of_another_training_are_refused(tmp_path, stem_only, changed, message):
    arrays = {k: v for k, v in (stem_only | changed).items() if v is not None}
    np.savez(tmp_path / "w.npz", **arrays)
    with pytest.raises(UserError, match=message):
        inception.load(tmp_path / "w.npz")


def test_without_weights_it_says_where_they_are():
    with pytest.raises(UserError, match=r"pt_inception-2015-12-05-6726825d\.pth has them"):
        inception.load("")
