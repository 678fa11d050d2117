"""Progressive GAN's parts against NumPy; growth without a jump in either network."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.models.progan import (
    EqualizedConv,
    EqualizedDense,
    ProganDiscriminator,
    ProganGenerator,
    minibatch_stddev,
    pixel_norm,
)

pytestmark = pytest.mark.slow

GENERATOR = ProganGenerator(latent=8, width=8, fmap_base=64, image_size=32)
DISCRIMINATOR = ProganDiscriminator(width=8, fmap_base=64, image_size=32)
LAST = 3
GAIN = np.sqrt(2)


@functools.cache
def parameters_of(module):
    """N(0, 1), biases included: they start at zero."""
    example = jnp.zeros((1, 8) if module is GENERATOR else (1, 32, 32, 3))
    shapes = jax.eval_shape(module.init, jax.random.key(0), example)["params"]
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: jnp.float32(rng.normal(size=leaf.shape)), shapes)


def generate(z, growth=None):
    return GENERATOR.apply({"params": parameters_of(GENERATOR)}, z, growth=growth)


def judge(x, growth=None):
    return DISCRIMINATOR.apply({"params": parameters_of(DISCRIMINATOR)}, x, growth=growth)


def latents(count=4):
    return jax.random.normal(jax.random.key(2), (count, 8))


def images(size, count=4):
    return jax.random.uniform(jax.random.key(3), (count, size, size, 3), minval=-1)


def pooled(x):
    x = np.asarray(x)
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4


def conv(x, weights, gain=GAIN):
    kernel = np.asarray(weights["kernel"], np.float64)
    k = kernel.shape[0]
    x = np.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(1, 2))
    y = np.tensordot(windows, kernel, ([4, 5, 3], [0, 1, 2]))
    return y * gain / np.sqrt(k * k * kernel.shape[2]) + np.asarray(weights["bias"])


def dense(x, weights, gain=GAIN):
    kernel = np.asarray(weights["kernel"], np.float64)
    return x @ kernel * gain / np.sqrt(len(kernel)) + np.asarray(weights["bias"])


def leaky(x):
    return np.maximum(x, 0.2 * x)


def normed(x):
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-8)


def repeated(x):
    return x.repeat(2, axis=1).repeat(2, axis=2)


def test_generator_equals_a_reference_in_its_second_stage():
    w = parameters_of(GENERATOR)
    y = dense(normed(np.asarray(latents(), np.float64)), w["stage0_dense"], GAIN / 4)
    y = normed(leaky(y.reshape(4, 4, 4, 8)))
    y = normed(leaky(conv(y, w["stage0_conv"])))
    small = conv(y, w["stage0_to_rgb"], 1)
    y = normed(leaky(conv(repeated(y), w["stage1_conv0"])))
    y = normed(leaky(conv(y, w["stage1_conv1"])))
    expected = 0.7 * repeated(small) + 0.3 * conv(y, w["stage1_to_rgb"], 1)
    np.testing.assert_allclose(generate(latents(), (1, 0.3)), expected, atol=1e-4)


def test_discriminator_equals_a_reference_in_its_second_stage():
    w = parameters_of(DISCRIMINATOR)
    x = np.asarray(images(8), np.float64)
    y = leaky(conv(x, w["stage1_from_rgb"]))
    y = pooled(leaky(conv(leaky(conv(y, w["stage1_conv0"])), w["stage1_conv1"])))
    y = 0.7 * leaky(conv(pooled(x), w["stage0_from_rgb"])) + 0.3 * y
    deviation = np.full((4, 4, 4, 1), np.sqrt(y.var(axis=0) + 1e-8).mean())
    y = leaky(conv(np.concatenate([y, deviation], axis=3), w["stage0_conv"]))
    y = leaky(dense(y.reshape(4, -1), w["stage0_dense"]))
    expected = dense(y, w["logit"], 1).reshape(4, 1, 1, 1)
    np.testing.assert_allclose(judge(images(8), (1, 0.3)), expected, atol=1e-4)


def test_pixel_norm_is_that_of_numpy():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)) * 7
    expected = x / np.sqrt((x**2).mean(axis=3, keepdims=True) + 1e-8)
    np.testing.assert_allclose(pixel_norm(jnp.float32(x)), expected, atol=1e-5)


@pytest.mark.parametrize(("n", "group"), [(8, 4), (4, 4), (3, 3), (6, 6)])
def test_minibatch_stddev_is_that_of_a_loop(n, group):
    x = np.random.default_rng(0).normal(size=(n, 2, 3, 5))
    result = minibatch_stddev(jnp.float32(x))
    assert result.shape == (n, 2, 3, 6)
    np.testing.assert_allclose(result[..., :5], x, atol=1e-6)
    for i in range(n):
        fellows = [x[j] for j in range(n) if j % (n // group) == i % (n // group)]
        assert len(fellows) == group
        deviation = np.std(fellows, axis=0).mean()
        np.testing.assert_allclose(result[i, ..., 5], deviation, rtol=1e-4)


def test_minibatch_stddev_of_equal_images_is_nothing_and_has_a_gradient():
    x = jnp.ones((4, 2, 2, 3))
    assert minibatch_stddev(x)[..., 3].max() < 1e-3
    gradient = jax.grad(lambda x: minibatch_stddev(x).sum())(x)
    assert jnp.isfinite(gradient).all()


def test_equalised_layers_keep_the_variance_whatever_their_width():
    x = jax.random.normal(jax.random.key(0), (64, 8, 8, 50))
    conv = EqualizedConv(40, gain=1.0)
    variables = conv.init(jax.random.key(1), x)
    np.testing.assert_allclose(variables["params"]["kernel"].std(), 1, rtol=0.05)
    inner = conv.apply(variables, x)[:, 1:-1, 1:-1]
    np.testing.assert_allclose(inner.std(), 1, rtol=0.1)
    dense = EqualizedDense(400, gain=1.0)
    variables = dense.init(jax.random.key(1), x[:, 0, 0])
    np.testing.assert_allclose(variables["params"]["kernel"].std(), 1, rtol=0.05)
    np.testing.assert_allclose(dense.apply(variables, x[:, 0, 0]).std(), 1, rtol=0.1)


@pytest.mark.parametrize("stage", range(LAST + 1))
def test_a_stage_works_at_its_size(stage):
    size = 4 * 2**stage
    result = generate(latents(), (stage, 0.5))
    assert result.shape == (4, size, size, 3)
    assert result.dtype == jnp.float32
    logits = judge(images(size), (stage, 0.5))
    assert logits.shape == (4, 1, 1, 1)
    assert jnp.isfinite(logits).all()


@pytest.mark.parametrize("stage", range(1, LAST + 1))
def test_a_stage_begins_as_the_one_before(stage):
    before = np.asarray(generate(latents(), (stage - 1, 1.0)))
    np.testing.assert_allclose(generate(latents(), (stage, 0.0)), repeated(before), atol=1e-5)
    x = images(4 * 2**stage)
    np.testing.assert_allclose(
        judge(x, (stage, 0.0)), judge(jnp.asarray(pooled(x)), (stage - 1, 1.0)), atol=1e-5
    )


@pytest.mark.parametrize("stage", range(1, LAST + 1))
def test_the_share_of_the_new_stage_grows_evenly_in_the_generator(stage):
    zero, half, one = (generate(latents(), (stage, alpha)) for alpha in (0.0, 0.5, 1.0))
    assert jnp.abs(one - zero).max() > 1e-2
    np.testing.assert_allclose(half, (zero + one) / 2, atol=1e-5)


def test_without_growth_it_is_the_last_stage():
    np.testing.assert_allclose(generate(latents()), generate(latents(), (LAST, 1.0)), atol=1e-5)
    x = images(32)
    np.testing.assert_allclose(judge(x), judge(x, (LAST, 1.0)), atol=1e-5)
    assert jnp.abs(judge(x) - judge(x, (LAST, 0.0))).max() > 1e-4


@pytest.mark.parametrize("stage", range(LAST))
def test_a_smaller_network_is_an_early_stage(stage):
    size = 4 * 2**stage
    generator = GENERATOR.clone(image_size=size)
    result = generator.apply({"params": parameters_of(GENERATOR)}, latents())
    np.testing.assert_allclose(result, generate(latents(), (stage, 1.0)), atol=1e-5)
    discriminator = DISCRIMINATOR.clone(image_size=size)
    logits = discriminator.apply({"params": parameters_of(DISCRIMINATOR)}, images(size))
    np.testing.assert_allclose(logits, judge(images(size), (stage, 1.0)), atol=1e-5)


def test_a_traced_alpha_does_not_compile_again():
    compiled = []

    @jax.jit
    def at(alpha):
        compiled.append(1)
        return judge(generate(latents(), (1, alpha)), (1, alpha))

    logits = [at(jnp.float32(alpha)) for alpha in (0.0, 0.3)]
    assert len(compiled) == 1
    expected = judge(generate(latents(), (1, 0.3)), (1, 0.3))
    np.testing.assert_allclose(logits[1], expected, atol=1e-5)


def test_channels_are_those_of_the_paper_at_1024_pixels():
    generator = ProganGenerator(image_size=1024)
    parameters = jax.eval_shape(generator.init, jax.random.key(0), jnp.zeros((1, 512)))["params"]
    channels = [parameters[f"stage{s}_to_rgb"]["kernel"].shape[2] for s in range(9)]
    assert channels == [512, 512, 512, 512, 256, 128, 64, 32, 16]
    # 23.1 million, the paper's table 2.
    assert round(sum(a.size for a in jax.tree.leaves(parameters)) / 1e5) == 231
    discriminator = ProganDiscriminator(image_size=1024)
    example = jnp.zeros((1, 1024, 1024, 3))
    parameters = jax.eval_shape(discriminator.init, jax.random.key(0), example)["params"]
    assert parameters["stage8_from_rgb"]["kernel"].shape == (1, 1, 3, 16)
    assert parameters["stage0_conv"]["kernel"].shape == (3, 3, 513, 512)
    assert round(sum(a.size for a in jax.tree.leaves(parameters)) / 1e5) == 231


def test_a_stage_leaves_the_parameters_of_later_ones_alone():
    def loss(parameters):
        result = GENERATOR.apply({"params": parameters}, latents(), growth=(1, 0.5))
        return jnp.square(result).sum()

    gradient = jax.jit(jax.grad(loss))(parameters_of(GENERATOR))
    moved = {name for name, g in gradient.items() if jnp.abs(g["kernel"]).max() > 0}
    assert moved == {
        "stage0_dense",
        "stage0_conv",
        "stage0_to_rgb",
        "stage1_conv0",
        "stage1_conv1",
        "stage1_to_rgb",
    }


def test_bfloat16_computes_nearly_the_same():
    half = GENERATOR.clone(dtype=jnp.bfloat16)
    result = half.apply({"params": parameters_of(GENERATOR)}, latents(), growth=(2, 0.5))
    assert result.dtype == jnp.float32
    np.testing.assert_allclose(result, generate(latents(), (2, 0.5)), atol=0.1)
    x = images(16)
    judged = DISCRIMINATOR.clone(dtype=jnp.bfloat16).apply(
        {"params": parameters_of(DISCRIMINATOR)}, x, growth=(2, jnp.float32(0.5))
    )
    np.testing.assert_allclose(judged, judge(x, (2, 0.5)), atol=0.1)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="power of two"):
        ProganGenerator(image_size=20)
    with pytest.raises(ValueError, match="got images of shape"):
        judge(images(16), (1, 1.0))
