"""Adversarial losses: what the discriminator minimises, and what the generator does.

All take logits of any shape (one per patch or per image) and give a float32 scalar, the mean.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

KINDS = ("bce", "lsgan", "hinge", "wgan")

LogitsFn = Callable[[jax.Array], jax.Array]


def real_loss(kind: str, logits: jax.Array) -> jax.Array:
    """The discriminator's loss on samples it should call real.

    'bce': -log sigmoid(l) (Goodfellow et al. 2014); 'lsgan': (l - 1)^2 (Mao et al. 2017);
    'hinge': max(0, 1 - l) (Lim & Ye 2017); 'wgan': -l (Arjovsky et al. 2017).
    """
    match kind:
        case "bce":
            return jax.nn.softplus(-logits).mean()
        case "lsgan":
            return jnp.square(logits - 1).mean()
        case "hinge":
            return jax.nn.relu(1 - logits).mean()
        case "wgan":
            return -logits.mean()
    raise ValueError(f"no adversarial loss {kind!r}; there are: {', '.join(KINDS)}")


def fake_loss(kind: str, logits: jax.Array) -> jax.Array:
    """The discriminator's loss on samples it should call fake: the counterpart of `real_loss`."""
    match kind:
        case "bce":
            return jax.nn.softplus(logits).mean()
        case "lsgan":
            return jnp.square(logits).mean()
        case "hinge":
            return jax.nn.relu(1 + logits).mean()
        case "wgan":
            return logits.mean()
    raise ValueError(f"no adversarial loss {kind!r}; there are: {', '.join(KINDS)}")


def generator_loss(kind: str, logits: jax.Array) -> jax.Array:
    """The generator's loss on the logits of its own output.

    For 'bce' the non-saturating -log sigmoid(l); for 'hinge' and 'wgan' -l; for 'lsgan' (l - 1)^2.
    """
    return real_loss("wgan" if kind == "hinge" else kind, logits)


def gradient_penalty(
    discriminator: LogitsFn, real: jax.Array, fake: jax.Array, keys: jax.Array
) -> jax.Array:
    """WGAN-GP's E[(|grad D(x)| - 1)^2] at random points between real and fake (Gulrajani 2017).

    real, fake: [N, H, W, C]. keys: a PRNG key for each pair, [N]. The gradient is that of the mean
    logit of each image, so that a patch discriminator's penalty does not grow with the number of
    patches.
    """
    mix = jax.vmap(lambda key: jax.random.uniform(key, (1, 1, 1), real.dtype))(keys)
    norms = jnp.sqrt(_squared_gradient_norms(discriminator, fake + mix * (real - fake)) + 1e-12)
    return jnp.square(norms - 1).mean()


def r1_penalty(discriminator: LogitsFn, real: jax.Array) -> jax.Array:
    """E[|grad D(x)|^2] / 2 at the real samples [N, H, W, C] (Mescheder et al. 2018).

    The gradient is that of the mean logit of each image.
    """
    return _squared_gradient_norms(discriminator, real).mean() / 2


def _squared_gradient_norms(discriminator: LogitsFn, x: jax.Array) -> jax.Array:
    def sum_of_mean_logits(x):
        logits = discriminator(x)
        return logits.reshape(logits.shape[0], -1).mean(axis=1).sum()

    gradient = jax.grad(sum_of_mean_logits)(x)
    return jnp.square(gradient).sum(axis=(1, 2, 3))
