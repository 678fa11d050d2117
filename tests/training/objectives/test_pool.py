import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.training.objectives.pool import empty_pool, exchange


def numbered(numbers) -> jnp.ndarray:
    """Images that are told apart by their value: number i is i / 127.5 - 1 everywhere."""
    values = np.asarray(numbers, np.float32) / 127.5 - 1
    return jnp.asarray(np.broadcast_to(values[:, None, None, None], (len(values), 4, 4, 3)))


def numbers(images) -> list[int]:
    return [round(float(image.mean() + 1) * 127.5) for image in np.asarray(images)]


def test_while_it_fills_what_goes_in_comes_out():
    pool = empty_pool(6, 4)
    for i in range(3):
        batch = [2 * i + 1, 2 * i + 2]
        pool, shown = exchange(pool, numbered(batch), jax.random.key(i))
        assert numbers(shown) == batch
    assert sorted(np.unique(np.asarray(pool.images)).tolist()) == [1, 2, 3, 4, 5, 6]
    assert int(pool.count) == 6


def test_then_half_of_what_is_shown_is_old_and_nothing_is_shown_twice():
    pool = empty_pool(8, 4)
    step = jax.jit(exchange)
    news, olds, stored = 0, 0, set()
    number = 0
    for i in range(100):
        batch = [(number + k) % 250 + 1 for k in range(2)]
        number += 2
        pool, shown = step(pool, numbered(batch), jax.random.key(i))
        if i < 4:
            stored |= set(batch)
            continue
        for new, out in zip(batch, numbers(shown), strict=True):
            if out == new:
                news += 1
            else:
                olds += 1
                # It left the pool, and the new one took its place.
                assert out in stored
                stored = stored - {out} | {new}
    assert set(np.unique(np.asarray(pool.images)).tolist()) == stored
    # 192 draws of 1/2: three standard deviations are 21.
    assert abs(news - olds) < 42


def test_gradients_do_not_need_to_pass_but_values_are_exact_for_new_images():
    fake = jax.random.uniform(jax.random.key(0), (2, 4, 4, 3), minval=-1.5, maxval=1.5)
    _, shown = functools.partial(exchange, empty_pool(4, 4))(fake, jax.random.key(1))
    np.testing.assert_array_equal(shown, fake)
