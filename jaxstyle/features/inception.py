r"""InceptionV3 (Szegedy et al. 2015) as FID and KID use it: from images to 2048 features.

Published figures come from one training of the network, TensorFlow's "2015-12-05", which differs
from the InceptionV3 of the paper and of torchvision: average pooling does not count the padding,
and the last block has a maximum in its place. Here it is as the authors of FID ran it (Heusel et
al. 2017): uint8 frames are resized to 299x299 by TensorFlow 1's bilinear interpolation, without
antialiasing. Of the PyTorch ports torch-fidelity does the same; pytorch-fid, and clean-fid unless
told to, resize in other ways, which moves figures where frames are of another size.

pytorch-fid publishes the weights (`PUBLISHED`) as a pickle. Where PyTorch is installed, save its
arrays as they are:

    python -c "import torch, safetensors.torch as s; \
        w = torch.load('pt_inception-2015-12-05-6726825d.pth', weights_only=True); \
        s.save_file({k: v.contiguous() for k, v in w.items()}, 'inception.safetensors')"

It is no network of `features.load`: those give maps of images of any size to losses, this one
vector of a picture to a metric.
"""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxstyle.errors import UserError
from jaxstyle.features import weights
from jaxstyle.features.network import Parameters

SIZE = 299
FEATURES = 2048
CLASSES = 1008  # of the "2015-12-05" training; later ones have 1000 or 1001
BATCH_NORM_EPSILON = 1e-3

PUBLISHED = (
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
    "pt_inception-2015-12-05-6726825d.pth has them; jaxstyle/features/inception.py says how to "
    "save it as .safetensors"
)


@dataclasses.dataclass(frozen=True)
class _Conv:
    """A convolution without bias, batch normalisation and ReLU, as published under `name`."""

    name: str
    size: tuple[int, int]  # height, width
    channels: int
    stride: int = 1
    padding: str = "SAME"


def _max_pool(x: jax.Array, stride: int, padding: str) -> jax.Array:
    """The maximum of 3x3 windows: [N, H, W, C] -> [N, H', W', C]."""
    strides = (1, stride, stride, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), strides, padding)


def _average_pool(x: jax.Array) -> jax.Array:
    """The mean of what 3x3 windows show of the image: [N, H, W, C] -> [N, H, W, C].

    The padding does not count: at an edge it is the mean of six pixels, in a corner of four.
    Of shifted additions, which XLA compiles faster than a windowed sum and its constant divisor.
    """
    for axis in (1, 2):
        size = x.shape[axis]
        padded = jnp.pad(x, [(1, 1) if i == axis else (0, 0) for i in range(4)])
        first, *others = (lax.slice_in_dim(padded, k, k + size, axis=axis) for k in range(3))
        seen = np.full(size, 3, np.float32)
        seen[0] -= 1
        seen[-1] -= 1
        x = sum(others, first) / seen.reshape([-1 if i == axis else 1 for i in range(4)])
    return x


def _halving_pool(x: jax.Array) -> jax.Array:
    return _max_pool(x, 2, "VALID")


def _keeping_pool(x: jax.Array) -> jax.Array:
    return _max_pool(x, 1, "SAME")


# A branch is a chain of convolutions and poolings; a block concatenates the ends of its branches.
_Branch = tuple[_Conv | Callable[[jax.Array], jax.Array], ...]
_Block = tuple[_Branch, ...]


def _stem() -> _Block:
    return (
        (
            _Conv("Conv2d_1a_3x3", (3, 3), 32, 2, "VALID"),
            _Conv("Conv2d_2a_3x3", (3, 3), 32, 1, "VALID"),
            _Conv("Conv2d_2b_3x3", (3, 3), 64),
            _halving_pool,
            _Conv("Conv2d_3b_1x1", (1, 1), 80),
            _Conv("Conv2d_4a_3x3", (3, 3), 192, 1, "VALID"),
            _halving_pool,
        ),
    )


def _block_a(name: str, pooled: int) -> _Block:
    return (
        (_Conv(f"{name}.branch1x1", (1, 1), 64),),
        (_Conv(f"{name}.branch5x5_1", (1, 1), 48), _Conv(f"{name}.branch5x5_2", (5, 5), 64)),
        (
            _Conv(f"{name}.branch3x3dbl_1", (1, 1), 64),
            _Conv(f"{name}.branch3x3dbl_2", (3, 3), 96),
            _Conv(f"{name}.branch3x3dbl_3", (3, 3), 96),
        ),
        (_average_pool, _Conv(f"{name}.branch_pool", (1, 1), pooled)),
    )


def _block_b(name: str) -> _Block:
    return (
        (_Conv(f"{name}.branch3x3", (3, 3), 384, 2, "VALID"),),
        (
            _Conv(f"{name}.branch3x3dbl_1", (1, 1), 64),
            _Conv(f"{name}.branch3x3dbl_2", (3, 3), 96),
            _Conv(f"{name}.branch3x3dbl_3", (3, 3), 96, 2, "VALID"),
        ),
        (_halving_pool,),
    )


def _block_c(name: str, inner: int) -> _Block:
    return (
        (_Conv(f"{name}.branch1x1", (1, 1), 192),),
        (
            _Conv(f"{name}.branch7x7_1", (1, 1), inner),
            _Conv(f"{name}.branch7x7_2", (1, 7), inner),
            _Conv(f"{name}.branch7x7_3", (7, 1), 192),
        ),
        (
            _Conv(f"{name}.branch7x7dbl_1", (1, 1), inner),
            _Conv(f"{name}.branch7x7dbl_2", (7, 1), inner),
            _Conv(f"{name}.branch7x7dbl_3", (1, 7), inner),
            _Conv(f"{name}.branch7x7dbl_4", (7, 1), inner),
            _Conv(f"{name}.branch7x7dbl_5", (1, 7), 192),
        ),
        (_average_pool, _Conv(f"{name}.branch_pool", (1, 1), 192)),
    )


def _block_d(name: str) -> _Block:
    return (
        (
            _Conv(f"{name}.branch3x3_1", (1, 1), 192),
            _Conv(f"{name}.branch3x3_2", (3, 3), 320, 2, "VALID"),
        ),
        (
            _Conv(f"{name}.branch7x7x3_1", (1, 1), 192),
            _Conv(f"{name}.branch7x7x3_2", (1, 7), 192),
            _Conv(f"{name}.branch7x7x3_3", (7, 1), 192),
            _Conv(f"{name}.branch7x7x3_4", (3, 3), 192, 2, "VALID"),
        ),
        (_halving_pool,),
    )


def _block_e(name: str, pool: Callable[[jax.Array], jax.Array]) -> _Block:
    # Two branches end in a fork: they are written as two with a common beginning.
    single = (_Conv(f"{name}.branch3x3_1", (1, 1), 384),)
    double = (
        _Conv(f"{name}.branch3x3dbl_1", (1, 1), 448),
        _Conv(f"{name}.branch3x3dbl_2", (3, 3), 384),
    )
    return (
        (_Conv(f"{name}.branch1x1", (1, 1), 320),),
        (*single, _Conv(f"{name}.branch3x3_2a", (1, 3), 384)),
        (*single, _Conv(f"{name}.branch3x3_2b", (3, 1), 384)),
        (*double, _Conv(f"{name}.branch3x3dbl_3a", (1, 3), 384)),
        (*double, _Conv(f"{name}.branch3x3dbl_3b", (3, 1), 384)),
        (pool, _Conv(f"{name}.branch_pool", (1, 1), 192)),
    )


BLOCKS = (
    _stem(),
    _block_a("Mixed_5b", 32),
    _block_a("Mixed_5c", 64),
    _block_a("Mixed_5d", 64),
    _block_b("Mixed_6a"),
    _block_c("Mixed_6b", 128),
    _block_c("Mixed_6c", 160),
    _block_c("Mixed_6d", 160),
    _block_c("Mixed_6e", 192),
    _block_d("Mixed_7a"),
    _block_e("Mixed_7b", _average_pool),
    _block_e("Mixed_7c", _keeping_pool),
)


def shapes() -> Parameters:
    """Shapes of the parameters: {convolution: {"kernel": [kh, kw, in, out], "bias": [out]}}."""
    found, c_in = {}, 3
    for block in BLOCKS:
        c_block = 0
        for branch in block:
            c = c_in
            for step in branch:
                if isinstance(step, _Conv):
                    found[step.name] = {
                        "kernel": jax.ShapeDtypeStruct((*step.size, c, step.channels), jnp.float32),
                        "bias": jax.ShapeDtypeStruct((step.channels,), jnp.float32),
                    }
                    c = step.channels
            c_block += c
        c_in = c_block
    return found


def load(
    where: str | os.PathLike, sha256: str = "", cache_dir: str | os.PathLike | None = None
) -> Parameters:
    """The parameters of the network, float32 arrays, from a file of published weights.

    Args:
      where: .safetensors or .npz, or its URL, of the arrays of pytorch-fid's state dict
        (`Mixed_5b.branch1x1.conv.weight`, ...).
      sha256, cache_dir: as in `features.load`.

    Raises:
      UserError: no such file, a download that fails or differs from its checksum, or weights of
        another network. Those of torchvision and timm are refused, although they would fit: they
        are other trainings, and figures made with them cannot be compared with published ones.
    """
    if not os.fspath(where):
        raise UserError(f"FID and KID need InceptionV3's weights; {PUBLISHED}")
    path = weights.fetch(where, sha256, cache_dir)
    arrays = weights.read(path)
    _check(arrays, path)
    return jax.tree.map(jnp.asarray, convert(arrays))


def _check(arrays: weights.Arrays, path: Path) -> None:
    expected: dict[str, tuple[int, ...]] = {}
    for name, layer in shapes().items():
        height, width, c_in, c_out = layer["kernel"].shape
        expected[f"{name}.conv.weight"] = (c_out, c_in, height, width)
        for part in ("weight", "bias", "running_mean", "running_var"):
            expected[f"{name}.bn.{part}"] = (c_out,)
    expected["fc.bias"] = (CLASSES,)  # not computed, but it tells trainings apart
    for name, shape in expected.items():
        if name not in arrays:
            raise UserError(
                f"{path} holds no weights of FID's InceptionV3: {name} is missing; {PUBLISHED}"
            )
        if arrays[name].shape != shape:
            raise UserError(
                f"{path} holds weights of another network or training than FID's InceptionV3, "
                f"whose figures could not be compared: {name} is {arrays[name].shape}, should be "
                f"{shape}; {PUBLISHED}"
            )


def convert(arrays: weights.Arrays) -> Parameters:
    """Parameters, float32, from the published arrays: batch normalisation becomes part of kernels.

    Computed in float64, for a running variance can be small.
    """
    found = {}
    for name in shapes():
        kernel = arrays[f"{name}.conv.weight"].astype(np.float64)
        gain, offset, mean, variance = (
            arrays[f"{name}.bn.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        gain = gain / np.sqrt(variance + BATCH_NORM_EPSILON)
        found[name] = {
            "kernel": (kernel.transpose(2, 3, 1, 0) * gain).astype(np.float32),
            "bias": (offset - mean * gain).astype(np.float32),
        }
    return found


def forward(parameters: Parameters, x: jax.Array) -> jax.Array:
    """The last block's features, averaged over the image.

    x: float32 [N, H, W, 3] in [-1, 1); the published network sees 299x299, and 75x75 is the least.
    Returns float32 [N, 2048].
    """
    for block in BLOCKS:
        computed: dict[str, jax.Array] = {}
        ends = []
        for branch in block:
            y = x
            for step in branch:
                if not isinstance(step, _Conv):
                    y = step(y)
                    continue
                if step.name not in computed:
                    computed[step.name] = _apply(step, parameters[step.name], y)
                y = computed[step.name]
            ends.append(y)
        x = jnp.concatenate(ends, axis=-1)
    return x.mean(axis=(1, 2))


def _apply(conv: _Conv, parameters: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    # Full precision: an accelerator's default would move figures between machines.
    y = lax.conv_general_dilated(
        x,
        parameters["kernel"],
        (conv.stride, conv.stride),
        conv.padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=lax.Precision.HIGHEST,
    )
    return jax.nn.relu(y + parameters["bias"].reshape(1, 1, 1, -1))


def resize(frames: jax.Array, size: int = SIZE) -> jax.Array:
    """TensorFlow 1's bilinear interpolation: [N, H, W, C] -> float32 [N, size, size, C].

    Pixel i of the output lies at i * (input size / output size) of the input, between that pixel
    and the next one; at most two by two pixels count, however much smaller the output is.
    """
    x = frames.astype(jnp.float32)
    for axis in (1, 2):
        last = x.shape[axis] - 1
        at = np.arange(size, dtype=np.float32) * np.float32(x.shape[axis] / size)
        lower = np.minimum(at.astype(np.int32), last)
        share = (at - lower).reshape([-1 if i == axis else 1 for i in range(4)])
        before, after = (
            jnp.take(x, index, axis=axis) for index in (lower, np.minimum(lower + 1, last))
        )
        x = before + (after - before) * share
    return x


@jax.jit
def _network_input(frames: jax.Array) -> jax.Array:
    return (resize(frames) - 128.0) / 128.0


# Apart from the resizing: the large program is compiled once for frames of all sizes.
_features = jax.jit(forward)


def activations(parameters: Parameters, frames: np.ndarray, batch: int = 16) -> np.ndarray:
    """The features that FID and KID compare.

    Args:
      parameters: of `load`.
      frames: uint8 [N, H, W, 3], RGB, of any size.
      batch: how many are computed at a time; a batch that is not full takes as long.

    Returns:
      float32 [N, 2048].

    Raises:
      ValueError: `frames` is of another type or shape, or empty.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise ValueError(
            f"InceptionV3 needs uint8 frames [N, H, W, 3], got {frames.dtype} {frames.shape}"
        )
    found = []
    for start in range(0, len(frames), batch):
        some = frames[start : start + batch]
        # Filled up by repetition, for each number of frames would be another program.
        full = np.resize(some, (batch, *some.shape[1:]))
        found.append(np.asarray(_features(parameters, _network_input(full)))[: len(some)])
    return np.concatenate(found)
