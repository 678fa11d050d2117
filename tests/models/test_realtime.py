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


def test_untrained_with_a_step_at_half_the_resolution_it_is_the_identity_too():
    generator = build_generator({"name": "realtime", "size": "nano", "half_width": 4})
    x = jax.random.uniform(jax.random.key(0), (2, 32, 48, 3), minval=-1, maxval=1)
    np.testing.assert_allclose(generator.apply(generator.init(jax.random.key(1), x), x), x)


def test_a_step_at_half_the_resolution_moves_with_the_frame_and_sees_as_far_as_it_says():
    generator = build_generator({"name": "realtime", "size": "nano", "half_width": 4})
    parameters = trained_like(generator)
    x = jax.random.uniform(jax.random.key(0), (1, 96, 96, 3), minval=-1, maxval=1)
    whole = generator.apply({"params": parameters}, x)
    part = generator.apply({"params": parameters}, x[:, 8:88, 4:84])
    np.testing.assert_allclose(whole[:, 40:60, 40:60], part[:, 32:52, 36:56], atol=1e-5)
    changed = generator.apply({"params": parameters}, x.at[:, :, 48:].set(1.0))
    apart = jnp.abs(whole - changed).max(axis=(0, 1, 3))
    reach = 48 - int(jnp.argmax(apart > 1e-6))
    assert generator.receptive_radius - 4 <= reach <= generator.receptive_radius


def test_pixels_depend_on_their_neighbourhood_alone():
    generator = build_generator({"name": "realtime", "size": "tiny"})
    parameters = trained_like(generator)
    x = jax.random.uniform(jax.random.key(0), (1, 64, 128, 3), minval=-1, maxval=1)
    changed = x.at[:, :, 100:].set(1.0)
    before, after = (generator.apply({"params": parameters}, v) for v in (x, changed))
    # Six 3x3 convolutions at a quarter of the resolution reach 24 pixels.
    np.testing.assert_allclose(before[:, :, :72], after[:, :, :72], atol=1e-6)
    assert jnp.abs(before - after)[:, :, 80:100].max() > 1e-3


@pytest.mark.slow
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
        ({"name": "no_such"}, "animegan2, .*realtime"),
        ({"name": "realtime", "size": "huge"}, "tiny, small, base"),
        ({"name": "realtime", "widht": 3}, "widht"),
        ({"name": "realtime", "dtype": "int8"}, "bfloat16"),
    ],
)
def test_unknown_names_and_options_are_refused_with_what_there_is(config, named):
    with pytest.raises(UserError, match=named):
        build_generator(config)


def several_styles(count=3):
    """A trained-like generator of several styles, its parameters and an input."""
    generator = build_generator({"name": "realtime", "size": "tiny", "styles": count})
    x = jax.random.uniform(jax.random.key(0), (3, 32, 48, 3), minval=-1, maxval=1)
    shapes = jax.eval_shape(generator.init, jax.random.key(0), x, jnp.ones((1, count)))["params"]
    random = np.random.default_rng(0)
    parameters = jax.tree.map(
        lambda a: jnp.asarray(random.normal(0, 0.1, a.shape), a.dtype), shapes
    )
    return generator, parameters, x


def without_styles(parameters, row):
    """The parameters of a single style's generator that does what style `row` does.

    Scale and shift of a convolution's output are as well a scaled kernel and another bias; those
    of the head's input have no such counterpart and must be 1 and 0.
    """

    def folded(conv, style):
        scale, shift = style["scale"][row], style["shift"][row]
        return {
            "kernel": conv["kernel"] * scale[None, None, None],
            "bias": conv["bias"] * scale + shift,
        }

    result = {"head": parameters["head"]}
    result["stem"] = folded(parameters["stem"], parameters["stem_style"])
    for name in ("block_0", "block_1"):
        block = parameters[name]
        result[name] = {
            f"Conv_{i}": folded(block[f"Conv_{i}"], block[f"style_{i}"]) for i in (0, 1)
        }
    return result


@pytest.mark.slow
def test_each_style_is_a_scale_and_a_shift_of_every_convolution():
    generator, parameters, x = several_styles()
    assert generator.condition == "styles"
    neutral = {"scale": jnp.ones((3, 24)), "shift": jnp.zeros((3, 24))}
    parameters = {**parameters, "head_style": neutral}
    together = generator.apply({"params": parameters}, x, jnp.eye(3))
    single = build_generator({"name": "realtime", "size": "tiny"})
    for style in range(3):
        expected = single.apply({"params": without_styles(parameters, style)}, x)
        alone = generator.apply({"params": parameters}, x, jnp.eye(3)[style : style + 1])
        np.testing.assert_allclose(alone, expected, atol=1e-5)
        # In a batch each image has its own style.
        np.testing.assert_allclose(together[style], expected[style], atol=1e-5)


def test_a_mix_of_styles_mixes_their_tables():
    generator, parameters, x = several_styles()
    weights = jnp.asarray([[0.2, 0.5, 0.3]])
    mixed = jax.tree.map(
        lambda a: jnp.broadcast_to(weights @ a, a.shape) if a.shape[0] == 3 and a.ndim == 2 else a,
        parameters,
    )
    np.testing.assert_allclose(
        generator.apply({"params": parameters}, x, weights),
        generator.apply({"params": mixed}, x, jnp.eye(3)),
        atol=1e-5,
    )
    # The head's input is modulated as well.
    changed = {**parameters, "head_style": jax.tree.map(lambda a: 2 * a, parameters["head_style"])}
    difference = generator.apply({"params": changed}, x, weights)
    assert jnp.abs(difference - generator.apply({"params": parameters}, x, weights)).max() > 1e-3


@pytest.mark.slow
def test_styles_start_equal_and_cost_few_parameters():
    generator = build_generator({"name": "realtime", "styles": 8})
    single = build_generator({"name": "realtime"})
    x = jax.random.uniform(jax.random.key(0), (2, 16, 16, 3), minval=-1, maxval=1)
    variables = jax.jit(generator.init)(jax.random.key(1), x, jnp.ones((1, 8)))
    weights = jax.nn.softmax(jax.random.normal(jax.random.key(2), (2, 8)))
    np.testing.assert_allclose(generator.apply(variables, x, weights), x, atol=1e-6)

    def count(tree):
        return sum(leaf.size for leaf in jax.tree.leaves(tree))

    alone = count(jax.eval_shape(single.init, jax.random.key(1), x))
    # Two rows of 32 per style at the stem, at the eight convolutions of the blocks and the head.
    assert count(variables) == alone + 8 * 2 * 32 * 10


def test_a_single_style_has_no_tables_and_takes_no_condition():
    single = build_generator({"name": "realtime", "size": "tiny", "styles": 1})
    assert single.condition is None
    x = jnp.zeros((1, 16, 16, 3))
    shapes = jax.eval_shape(single.init, jax.random.key(0), x)["params"]
    assert sorted(shapes) == ["block_0", "block_1", "head", "stem"]
    assert sorted(shapes["block_0"]) == ["Conv_0", "Conv_1"]
    with pytest.raises(ValueError, match="weights of 2 styles for a generator of 1"):
        jax.eval_shape(single.apply, {"params": shapes}, x, jnp.ones((1, 2)))


def test_a_missing_or_wrong_condition_is_refused():
    generator, parameters, x = several_styles()
    with pytest.raises(ValueError, match="weights of 1 styles for a generator of 3"):
        generator.apply({"params": parameters}, x)
    with pytest.raises(ValueError, match="weights of 4 styles for a generator of 3"):
        generator.apply({"params": parameters}, x, jnp.ones((1, 4)))
