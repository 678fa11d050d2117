import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import features
from jaxstyle.losses import perceptual
from jaxstyle.media.images import read_image


def random_maps(seed, n=2, h=5, w=4, c=3):
    return np.random.default_rng(seed).normal(size=(n, h, w, c)).astype(np.float32)


def test_content_losses_are_means():
    a, b = random_maps(0), random_maps(1)
    np.testing.assert_allclose(perceptual.content_l1(a, b), np.abs(a - b).mean(), rtol=1e-6)
    np.testing.assert_allclose(perceptual.content_l2(a, b), ((a - b) ** 2).mean(), rtol=1e-6)


def test_gram_matrices_are_sums_over_positions():
    maps = random_maps(0)
    expected = np.zeros((2, 3, 3))
    for n, i, j in np.ndindex(2, 5, 4):
        expected[n] += np.outer(maps[n, i, j], maps[n, i, j])
    expected /= 3 * 5 * 4
    np.testing.assert_allclose(perceptual.gram_matrix(maps), expected, atol=1e-7)


def test_gram_matrices_do_not_depend_on_where_or_how_large():
    maps = random_maps(0)
    shuffled = maps.reshape(2, 20, 1, 3)[:, ::-1]
    twice = np.concatenate([maps, maps], axis=1)
    for same in (shuffled, twice):
        np.testing.assert_allclose(perceptual.gram_l1(maps, same), 0, atol=1e-7)


def test_gram_l1_takes_one_style_for_all():
    maps, style = random_maps(0), random_maps(1, n=1, h=7)
    grams = [m.reshape(-1, 3).T @ m.reshape(-1, 3) / (3 * m.shape[0] * 4) for m in (*maps, *style)]
    expected = np.mean([np.abs(gram - grams[2]).mean() for gram in grams[:2]])
    np.testing.assert_allclose(perceptual.gram_l1(maps, style), expected, rtol=1e-5)


def test_statistics_loss_compares_means_and_deviations():
    maps, style = random_maps(0), 3 * random_maps(1, n=1, h=9) + 1
    expected = np.mean((maps.mean((1, 2)) - style.mean((1, 2))) ** 2)
    expected += np.mean((maps.std((1, 2)) - style.std((1, 2))) ** 2)
    np.testing.assert_allclose(perceptual.statistics_loss(maps, style), expected, rtol=1e-4)


def test_statistics_loss_is_zero_after_adain():
    maps, style = random_maps(0), 3 * random_maps(1) + 1
    normalized = (maps - maps.mean((1, 2), keepdims=True)) / maps.std((1, 2), keepdims=True)
    restyled = normalized * style.std((1, 2), keepdims=True) + style.mean((1, 2), keepdims=True)
    np.testing.assert_allclose(perceptual.statistics_loss(restyled, style), 0, atol=1e-9)


def test_lpips_is_the_formula():
    a, b = [random_maps(0), random_maps(1, h=3, c=6)], [random_maps(2), random_maps(3, h=3, c=6)]
    heads = [np.random.default_rng(4).uniform(size=c).astype(np.float32) for c in (3, 6)]
    expected = np.zeros(2)
    for x, y, head in zip(a, b, heads, strict=True):
        x, y = (m / np.linalg.norm(m, axis=-1, keepdims=True) for m in (x, y))
        expected += ((x - y) ** 2 * head).sum(axis=-1).mean(axis=(1, 2))
    actual = perceptual.lpips(a, b, heads)
    assert actual.dtype == jnp.float32
    np.testing.assert_allclose(actual, expected, rtol=1e-5)
    np.testing.assert_allclose(actual, perceptual.lpips(b, a, heads), rtol=1e-6)
    np.testing.assert_array_equal(perceptual.lpips(a, a, heads), 0)


@pytest.mark.parametrize(
    "loss",
    [
        perceptual.content_l2,
        perceptual.gram_l1,
        perceptual.statistics_loss,
        lambda a, b: perceptual.lpips([a], [b], [jnp.ones(3)]).sum(),
    ],
)
def test_gradients_are_finite_where_features_are_off(loss):
    off = jnp.zeros((1, 4, 4, 3))
    gradient = jax.grad(loss)(off, jnp.asarray(random_maps(0, n=1, h=4)))
    assert jnp.isfinite(gradient).all()
    assert jnp.isfinite(jax.grad(loss)(off, off)).all()


@pytest.mark.slow
def test_lpips_agrees_with_people_about_the_published_example(media):
    # The authors' example: people find the warped ex_p1 closer to ex_ref than the blurred ex_p0.
    folder = media / "weights" / "lpips_v0.1"
    (weights,) = (media / "weights" / "squeezenet11_keras_notop").glob("*.npz")
    network, parameters = features.load("squeezenet", weights)
    heads = features.load_lpips_heads(folder / "squeeze.npz")

    @jax.jit
    def maps(image):
        found = network.apply(parameters, image, features.LPIPS_LAYERS)
        return [found[layer] for layer in features.LPIPS_LAYERS]

    reference, blurred, warped = (
        maps(read_image(folder / f"ex_{name}.png")[None].astype(np.float32) / 127.5 - 1)
        for name in ("ref", "p0", "p1")
    )
    assert [maps.shape[-1] for maps in reference] == [head.size for head in heads]
    to_blurred = perceptual.lpips(reference, blurred, heads)
    to_warped = perceptual.lpips(reference, warped, heads)
    assert 0 < to_warped[0] < 0.7 * to_blurred[0]
    assert perceptual.lpips(reference, reference, heads)[0] == 0
    # Without features the order is the other way round: the warped copy has other pixels.
    images = [read_image(folder / f"ex_{name}.png").astype(float) for name in ("ref", "p0", "p1")]
    errors = [np.square(image - images[0]).mean() for image in images[1:]]
    assert errors[1] > errors[0]


def test_relative_gram_l1_compares_batches_as_a_whole():
    maps, style = random_maps(0), 3 * random_maps(1, n=3, h=7) + 1
    # Over all positions of all images at once.
    grams = [m.reshape(-1, 3).T @ m.reshape(-1, 3) / m.size for m in (maps, style)]
    expected = np.abs(grams[0] - grams[1]).mean() / np.abs(grams[1]).mean()
    found = [perceptual.gram_matrix(m) for m in (maps, style)]
    np.testing.assert_allclose(perceptual.relative_gram_l1(*found), expected, rtol=1e-5)
    # Whatever the scale of the activations; and images may share out what the style has.
    found = [perceptual.gram_matrix(100 * m) for m in (maps, style)]
    np.testing.assert_allclose(perceptual.relative_gram_l1(*found), expected, rtol=1e-5)
    pooled = np.stack([grams[1] * 0.5, grams[1] * 1.5]).astype(np.float32)
    np.testing.assert_allclose(perceptual.relative_gram_l1(pooled, found[1] / 1e4), 0, atol=1e-6)


def test_relative_gram_l1_of_a_style_without_activations_is_finite():
    off = jnp.zeros((2, 3, 3))
    value, gradient = jax.value_and_grad(perceptual.relative_gram_l1)(off, off)
    assert value == 0
    assert jnp.isfinite(gradient).all()
