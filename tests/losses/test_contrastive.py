import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.losses import contrastive


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def test_patch_nce_equals_the_cross_entropy_of_the_right_patch():
    rng = np.random.default_rng(0)
    query, reference = unit(rng.normal(size=(2, 3, 7, 5))).astype(np.float32)
    total = 0.0
    for q, r in zip(query, reference, strict=True):
        for i in range(7):
            similarity = np.exp(r @ q[i] / 0.07)
            total -= np.log(similarity[i] / similarity.sum())
    loss = contrastive.patch_nce(jnp.asarray(query), jnp.asarray(reference))
    np.testing.assert_allclose(loss, total / 21, rtol=1e-4)


@pytest.mark.slow
def test_patch_nce_falls_as_patches_match_and_teaches_the_query_alone():
    rng = np.random.default_rng(1)
    reference = jnp.asarray(unit(rng.normal(size=(1, 16, 32))), jnp.float32)
    other = jnp.asarray(unit(rng.normal(size=(1, 16, 32))), jnp.float32)
    assert contrastive.patch_nce(reference, reference) < 0.01
    assert contrastive.patch_nce(reference[:, ::-1], reference) > np.log(16)
    query_gradient, reference_gradient = jax.grad(contrastive.patch_nce, argnums=(0, 1))(
        other, reference
    )
    assert jnp.abs(query_gradient).max() > 0
    np.testing.assert_array_equal(reference_gradient, 0)


def test_positions_are_distinct_inside_their_map_and_no_more_than_there_are():
    few, many = contrastive.sample_positions(jax.random.key(0), ((4, 5), (30, 30)), 64)
    assert sorted(few.tolist()) == list(range(20))
    assert len(set(many.tolist())) == 64
    assert max(many.tolist()) < 900


def test_code_contrast_is_own_distance_over_that_to_all_others():
    rng = np.random.default_rng(2)
    result, style = (
        {"mean": rng.normal(size=(3, 4)), "filters": rng.normal(size=(3, 2, 5))} for _ in range(2)
    )
    codes = [np.concatenate([t["filters"].reshape(3, -1), t["mean"]], 1) for t in (result, style)]
    expected = 0.0
    for i in range(3):
        own = np.linalg.norm(codes[0][i] - codes[1][i])
        others = sum(np.linalg.norm(codes[0][i] - codes[1][j]) for j in range(3) if j != i)
        expected += own / others
    as_float32 = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), (result, style))
    np.testing.assert_allclose(contrastive.code_contrast(*as_float32), expected, rtol=1e-5)


def test_neighbour_differences_are_of_the_eight_around():
    maps = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype(np.float32)
    # Of the 3x4 positions inside.
    places = {0: (1, 1), 6: (2, 3), 11: (3, 4)}
    found = contrastive.neighbour_differences(jnp.asarray(maps), jnp.asarray(list(places)))
    assert found.shape == (2, 3, 8, 3)
    for p, (y, x) in enumerate(places.values()):
        around = [(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
        for k, (row, column) in enumerate(around):
            np.testing.assert_allclose(
                found[:, p, k], maps[:, y, x] - maps[:, row, column], atol=1e-6
            )
