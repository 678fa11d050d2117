import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.errors import UserError
from jaxstyle.models import build_generator
from jaxstyle.models.layers import pixel_shuffle


def trained_like(generator, size=64):
    """Parameters away from the zeros that the untrained generator has."""
    x = jnp.zeros((1, size, size, 3))
    parameters = generator.init(jax.random.key(0), x)["params"]
    leaves, structure = jax.tree.flatten(parameters)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    moved = [a + 0.05 * jax.random.normal(k, a.shape) for a, k in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(structure, moved)


@pytest.mark.parametrize("size", ["tiny", "small", "base"])
def test_untrained_generator_is_the_identity(size):
    generator = build_generator({"name": "realtime", "size": size})
    x = jax.random.uniform(jax.random.key(0), (2, 32, 48, 3), minval=-1, maxval=1)
    variables = generator.init(jax.random.key(1), x)
    np.testing.assert_allclose(generator.apply(variables, x), x, atol=1e-6)


def test_pixels_depend_on_their_neighbourhood_alone():
    generator = build_generator({"name": "realtime", "size": "tiny"})
    parameters = trained_like(generator)
    x = jax.random.uniform(jax.random.key(0), (1, 64, 128, 3), minval=-1, maxval=1)
    changed = x.at[:, :, 100:].set(1.0)
    before, after = (generator.apply({"params": parameters}, v) for v in (x, changed))
    # Six 3x3 convolutions at a quarter of the resolution reach 24 pixels.
    np.testing.assert_allclose(before[:, :, :72], after[:, :, :72], atol=1e-6)
    assert jnp.abs(before - after)[:, :, 80:100].max() > 1e-3


def test_moves_with_the_frame():
    generator = build_generator({"name": "realtime", "size": "tiny"})
    parameters = trained_like(generator)
    x = jax.random.uniform(jax.random.key(0), (1, 96, 96, 3), minval=-1, maxval=1)
    whole = generator.apply({"params": parameters}, x)
    part = generator.apply({"params": parameters}, x[:, 8:88, 4:84])
    np.testing.assert_allclose(whole[:, 40:60, 40:60], part[:, 32:52, 36:56], atol=1e-5)


def test_output_is_the_gated_input_plus_the_head():
    generator = build_generator({"name": "realtime", "size": "tiny"})
    x = jax.random.uniform(jax.random.key(0), (1, 32, 32, 3), minval=-1, maxval=1)
    parameters = generator.init(jax.random.key(1), x)["params"]
    # With a zero kernel the head is its bias: a colour and a gate for each of 16 sub-pixels.
    bias = jax.random.normal(jax.random.key(2), (64,))
    parameters["head"]["bias"] = bias
    tile = pixel_shuffle(bias.reshape(1, 1, 1, 64), 4)
    tiled = jnp.tile(tile, (1, 8, 8, 1))
    expected = x * (1 - tiled[..., 3:]) + tiled[..., :3]
    np.testing.assert_allclose(generator.apply({"params": parameters}, x), expected, atol=1e-5)


def test_bfloat16_computes_nearly_the_same_and_keeps_float32_parameters():
    full = build_generator({"name": "realtime", "size": "tiny"})
    half = build_generator({"name": "realtime", "size": "tiny", "dtype": "bfloat16"})
    parameters = trained_like(full)
    x = jax.random.uniform(jax.random.key(0), (1, 64, 64, 3), minval=-1, maxval=1)
    result = half.apply({"params": parameters}, x)
    assert result.dtype == jnp.float32
    np.testing.assert_allclose(result, full.apply({"params": parameters}, x), atol=0.05)
    fresh = half.init(jax.random.key(0), x)
    assert {leaf.dtype for leaf in jax.tree.leaves(fresh)} == {jnp.dtype("float32")}


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"name": "no_such"}, "animegan2, realtime"),
        ({"name": "realtime", "size": "huge"}, "tiny, small, base"),
        ({"name": "realtime", "widht": 3}, "widht"),
        ({"name": "realtime", "dtype": "int8"}, "bfloat16"),
    ],
)
def test_unknown_names_and_options_are_refused_with_what_there_is(config, named):
    with pytest.raises(UserError, match=named):
        build_generator(config)
