import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax

from jaxstyle.errors import UserError
from jaxstyle.models import animegan3, layers

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from jaxstyle.export import onnx as exporter  # noqa: E402

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
# Four different sizes, so that no axis can pass for another.
IMAGE = RNG.standard_normal((2, 8, 12, 3)).astype(np.float32)
VECTOR = RNG.standard_normal(3).astype(np.float32)
MATRIX = RNG.standard_normal((3, 5)).astype(np.float32)
KERNEL = (0.3 * RNG.standard_normal((3, 3, 3, 5))).astype(np.float32)


def convolved(x, **options):
    numbers = ("NHWC", "HWIO", "NHWC")
    options = {"window_strides": (1, 1), "padding": "SAME", **options}
    return lax.conv_general_dilated(x, KERNEL, dimension_numbers=numbers, **options)


FUNCTIONS = {
    "per-channel vector": lambda x: x * VECTOR[None, None, None] + VECTOR[1],
    "vector over rows": lambda x: x + jnp.arange(8.0)[None, :, None, None],
    "vector over columns": lambda x: x - jnp.linspace(0, 1, 12)[None, None, :, None],
    "activations": lambda x: nn.gelu(x) + nn.silu(x) * nn.sigmoid(x) - nn.elu(x) + nn.softplus(x),
    "leaky relu": lambda x: nn.leaky_relu(x, 0.2) + nn.relu(x),
    "arithmetic": lambda x: -jnp.abs(x) / (1 + x**2) + x**3 + lax.rsqrt(jnp.exp(x)) ** 0.5,
    "comparisons": lambda x: jnp.where((x > 0) & ~(x >= 1) | (x != x), x, 7.0),
    "clip and clamp": lambda x: jnp.clip(x, -1, 1) + lax.clamp(-0.5, x, 0.5),
    "round to even": lambda x: jnp.round(jnp.round(x * 4) / 2),
    "round away": lambda x: lax.round(jnp.round(x * 4) / 2, lax.RoundingMethod.AWAY_FROM_ZERO),
    "joined by channel": lambda x: jnp.concatenate([x, 2 * x[..., :2]], axis=3),
    "joined by row": lambda x: jnp.concatenate([x[:, 6:], x], axis=1),
    "joined by column": lambda x: jnp.concatenate([x, x[:, :, ::3]], axis=2),
    "joined by image": lambda x: jnp.concatenate([x[1:], x], axis=0),
    "stacked": lambda x: jnp.stack([x[:, 0], x[:, 1]], axis=2).sum(axis=0),
    "split by channel": lambda x: jnp.split(x, [1], axis=3)[1] * jnp.split(x, 3, axis=3)[0],
    "cut out": lambda x: x[:, 2:-1, 1::2, 1:],
    "cut at a distance": lambda x: x[:, 2:-1, :, 1:],
    "one column": lambda x: x[:, :, 5],
    "mirrored": lambda x: x[:, ::-1] + jnp.flip(x, axis=3),
    "transposed": lambda x: x.transpose(3, 1, 0, 2),
    "transposed to rank 3": lambda x: x[0].transpose(2, 0, 1),
    "reshaped": lambda x: x.reshape(2, 4, 2, 6, 2, 3).sum(axis=4).reshape(4, 4, 6, 3)[..., :2],
    "squeezed": lambda x: x[:1, :, :, :1].squeeze((0, 3)),
    "repeated": lambda x: jnp.repeat(x, 2, axis=1) + jnp.tile(x, (1, 2, 1, 1)),
    "padded": lambda x: jnp.pad(x, ((0, 0), (1, 2), (3, 0), (0, 1)), constant_values=4),
    "padded by edge": lambda x: jnp.pad(x, ((0, 0), (0, 3), (2, 0), (0, 0)), mode="edge"),
    "mean per image": lambda x: x.mean(axis=(1, 2, 3)),
    "mean per column": lambda x: x.mean(axis=1),
    "largest per channel": lambda x: x.max(axis=(1, 2)) - x.min(axis=(1, 2)),
    "softmax": lambda x: nn.softmax(x, axis=-1),
    "dense": lambda x: x @ MATRIX,
    "dense, transposed": lambda x: jnp.einsum("nhwk,ck->nhwc", x, MATRIX.T),
    "softmax over pixels": lambda x: nn.softmax(x, axis=(1, 2)),
    "unbiased variance": lambda x: (
        jnp.square(x - x.mean((1, 2), keepdims=True)).sum((1, 2)) / (x.shape[1] * x.shape[2] - 1)
    ),
    "linearly adaptive denormalisation": lambda x: animegan3.lade(x, jnp.abs(x) + 1),
    "attention": lambda x: jnp.einsum("nhwc,nkwc->nhkw", x, x),
    "convolution": convolved,
    "strided": lambda x: convolved(x, window_strides=(2, 3), padding="VALID"),
    "dilated": lambda x: convolved(x, rhs_dilation=(2, 1), padding=((2, 1), (0, 3))),
    "computed kernel": lambda x: lax.conv_general_dilated(
        x, KERNEL * x.mean(), (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    ),
    "to bytes": lambda x: (jnp.clip(x, 0, 1) * 255).astype(jnp.uint8),
    "jitted with a constant": jax.jit(lambda x: x * jnp.asarray(VECTOR)[None, None, None]),
    "jitted with a NumPy constant": jax.jit(lambda x: x * IMAGE),
    "rematerialised": jax.checkpoint(lambda x: jnp.sin(x) * jnp.cos(x)),
}

C = IMAGE.shape[-1]
BLOCKS = {
    "depthwise": lambda x: layers.depthwise_conv_3x3(x, KERNEL[:, :, :1, :C], VECTOR),
    "down 3x3": lambda x: layers.down_conv(layers.reflect_pad(x, 0, 1, 0, 1), KERNEL),
    "down 4x4": lambda x: layers.down_conv(x, np.pad(KERNEL, ((0, 1), (0, 1), (0, 0), (0, 0)))),
    "frame norm": lambda x: layers.frame_norm(x + 3, VECTOR, 2 * VECTOR, 1e-5),
    "instance norm": lambda x: layers.instance_norm(3 * x + 1, 1e-5),
    "pixel unshuffle": lambda x: layers.pixel_unshuffle(x, 4),
    "pixel shuffle": lambda x: layers.pixel_shuffle(jnp.concatenate([x, x, x, x], axis=3), 2),
    "reflection": lambda x: layers.reflect_pad(x, 3, 1, 2, 0),
    "tiled": lambda x: layers.tiled_conv(x, KERNEL),
    "upsampling": layers.upsample_bilinear,
    "upsampling, corners aligned": layers.upsample_bilinear_aligned,
}
# What each must come down to for the exported model to be fast.
OPERATIONS = {
    "depthwise": ["Conv"],
    "down 3x3": ["Pad", "Conv"],
    "down 4x4": ["Conv"],
    "instance norm": ["Mul", "Add", "InstanceNormalization"],
    "pixel unshuffle": ["SpaceToDepth"],
    "pixel shuffle": ["Concat", "DepthToSpace"],
    "reflection": ["Pad"],
    "tiled": ["Conv"],
    "upsampling": ["Resize"],
    "upsampling, corners aligned": ["Resize"],
}


def run(model, *arrays):
    return exporter.load_onnx(model.SerializeToString())(*arrays)


def operations(model):
    kinds = [node.op_type for node in model.graph.node]
    return [kind for kind in kinds if kind not in ("Transpose", "Identity")]


@pytest.mark.parametrize("name", [*FUNCTIONS, *BLOCKS])
def test_the_runtime_computes_what_jax_does(name):
    function = {**FUNCTIONS, **BLOCKS}[name]
    wanted = np.asarray(jax.jit(function)(IMAGE))
    found = run(exporter.to_onnx(function, IMAGE), IMAGE)
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_building_block_is_one_operation_without_transposes_around_it(name):
    model = exporter.to_onnx(BLOCKS[name], IMAGE)
    assert operations(model) == OPERATIONS[name]
    transposes = sum(node.op_type == "Transpose" for node in model.graph.node)
    assert transposes == 2  # at the input and at the output


@pytest.mark.parametrize(
    "name",
    [
        *BLOCKS,
        "cut at a distance",
        "dense",
        "dense, transposed",
        "linearly adaptive denormalisation",
        "mean per column",
        "mean per image",
        "padded",
        "softmax over pixels",
        "unbiased variance",
    ],
)
def test_a_model_of_open_size_runs_at_any(name):
    function = {**FUNCTIONS, **BLOCKS}[name]
    scope = export.SymbolicScope(("h >= 2", "w >= 2"))
    shape = export.symbolic_shape("n, 4*h, 4*w, 3", scope=scope)
    model = exporter.to_onnx(function, jax.ShapeDtypeStruct(shape, jnp.float32))
    for x in (IMAGE, IMAGE[:1].repeat(2, axis=1)):
        wanted = np.asarray(jax.jit(function)(x))
        np.testing.assert_allclose(run(model, x), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("inputs", "outputs", "stride"), [(6, 3, 1), (4, 8, 2), (5, 5, 1)])
def test_a_dense_convolution_of_groups_is_written_as_a_grouped_one(inputs, outputs, stride):
    groups = min(inputs, outputs)
    x = RNG.standard_normal((2, 8, 9, inputs)).astype(np.float32)
    dense = np.zeros((3, 3, inputs, outputs), np.float32)
    for group in range(groups):
        rows, columns = (
            slice(group * size // groups, (group + 1) * size // groups)
            for size in (inputs, outputs)
        )
        block = dense[:, :, rows, columns]
        block[...] = RNG.standard_normal(block.shape)

    def convolve(x):
        if stride == 2:
            return layers.down_conv(x, dense)
        numbers = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(x, dense, (1, 1), "SAME", dimension_numbers=numbers)

    model = exporter.to_onnx(convolve, x)
    (node,) = [node for node in model.graph.node if node.op_type == "Conv"]
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    assert attributes["group"] == groups
    np.testing.assert_allclose(run(model, x), jax.jit(convolve)(x), rtol=1e-4, atol=1e-5)


def test_reflection_further_than_the_frame_is_wide_goes_back_and_forth_as_in_jax():
    narrow = IMAGE[:, :, :2]
    model = exporter.to_onnx(lambda x: layers.reflect_pad(x, 3), narrow)
    np.testing.assert_array_equal(run(model, narrow), layers.reflect_pad(narrow, 3))


def test_several_inputs_and_outputs_keep_their_names_and_order():
    model = exporter.to_onnx(
        lambda x, s: (s, x * s, jnp.float32(3)), IMAGE, np.float32(2), input_names=["image", "gain"]
    )
    assert [i.name for i in model.graph.input] == ["image", "gain"]
    session = pytest.importorskip("onnxruntime").InferenceSession(model.SerializeToString())
    results = session.run(None, {"image": IMAGE, "gain": np.array(2, np.float32)})
    for found, wanted in zip(results, (2, 2 * IMAGE, 3), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_a_number_that_fills_a_frame_is_stored_as_a_number():
    large = jax.ShapeDtypeStruct((1, 512, 512, 3), jnp.float32)
    model = exporter.to_onnx(lambda x: jnp.where(x > 0, x, 7.0), large)
    assert model.ByteSize() < 2000


def test_an_operation_without_conversion_is_named():
    with pytest.raises(UserError, match=r"'cumsum'.*onnx_operations\.py"):
        exporter.to_onnx(lambda x: jnp.cumsum(x, axis=1), IMAGE)
    with pytest.raises(UserError, match="'scan'"):
        exporter.to_onnx(lambda x: lax.scan(lambda sum, row: (sum + row, sum), x[0], x)[1], IMAGE)


def test_transposed_convolutions_and_computed_positions_are_refused():
    with pytest.raises(UserError, match="transposed convolutions"):
        exporter.to_onnx(
            lambda x: convolved(x, lhs_dilation=(2, 2), padding=((1, 1), (1, 1))), IMAGE
        )
    with pytest.raises(UserError, match="computed positions"):
        exporter.to_onnx(lambda x: x[0][x[0, :, 0, 0].astype(int)], IMAGE)


@pytest.mark.parametrize("form", ["n, 4*h, 4*w, 3", "n, h, 6*w, 3"])
def test_a_dimension_is_computed_from_those_of_the_input(form):
    def sums(x):
        n, h, w, _ = x.shape
        return jnp.stack(
            [
                x.sum() / size
                for size in (h * w, 2 * h + w - 7, 3 - h, h * h * n, 8 * h * w + n, w // 2 * h)
            ]
        )

    shape = export.symbolic_shape(form)
    model = exporter.to_onnx(sums, jax.ShapeDtypeStruct(shape, jnp.float32))
    for x in (IMAGE, IMAGE[:1].repeat(2, axis=1)):
        np.testing.assert_allclose(run(model, x), jax.jit(sums)(x), rtol=1e-4)


def test_what_a_dimension_cannot_be_computed_by_asks_for_a_size():
    shape = export.symbolic_shape("n, 4*h, 4*w, 3")
    with pytest.raises(UserError, match=r"floordiv.*--size"):
        exporter.to_onnx(
            lambda x: x.sum() / (x.shape[1] // 3), jax.ShapeDtypeStruct(shape, jnp.float32)
        )
