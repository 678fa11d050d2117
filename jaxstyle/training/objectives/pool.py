"""Earlier results, shown to the discriminator in place of some of the new ones (CycleGAN)."""

import flax.struct
import jax
import jax.numpy as jnp


@flax.struct.dataclass
class Pool:
    """images: uint8 [P, S, S, 3]. count: int32 scalar, how many of them there are yet."""

    images: jax.Array
    count: jax.Array


def empty_pool(size: int, image_size: int) -> Pool:
    """A pool of `size` images with none in it."""
    return Pool(jnp.zeros((size, image_size, image_size, 3), jnp.uint8), jnp.zeros((), jnp.int32))


def exchange(pool: Pool, fake: jax.Array, key: jax.Array) -> tuple[Pool, jax.Array]:
    """Puts a batch in and takes one out (Shrivastava et al. 2017; Zhu et al. 2017).

    fake: float32 [N, S, S, 3] in [-1, 1], N no larger than the pool. While the pool fills, what is
    put in comes out. Then each image with probability 1/2 takes the place of a random one in the
    pool, which comes out for it; otherwise it comes out itself. Returns float32 of the same shape.
    """
    size, count = pool.images.shape[0], fake.shape[0]
    place_key, choice_key = jax.random.split(key)
    filling = pool.count < size
    in_turn = (pool.count + jnp.arange(count)) % size
    places = jnp.where(filling, in_turn, jax.random.permutation(place_key, size)[:count])
    swapped = ~filling & jax.random.bernoulli(choice_key, 0.5, (count,))
    old = pool.images[places]
    new = jnp.round((jnp.clip(fake, -1.0, 1.0) + 1.0) * 127.5).astype(jnp.uint8)

    def chosen(mask, yes, no):
        return jnp.where(mask.reshape(-1, 1, 1, 1), yes, no)

    kept = pool.images.at[places].set(chosen(filling | swapped, new, old))
    shown = chosen(swapped, old.astype(jnp.float32) / 127.5 - 1.0, fake)
    return Pool(kept, jnp.minimum(pool.count + count, size)), shown
