"""Adversarial losses: what the discriminator minimises, and what the generator does.

All take logits of any shape (one per patch or per image) and give a float32 scalar, the mean. Of a
discriminator with several heads the logits are a pytree of arrays, and each head counts alike.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

SINGLE = ("bce", "lsgan", "hinge", "wgan")
# "relativistic" is a loss of pairs, `relativistic_loss`.
KINDS = (*SINGLE, "relativistic")

Logits = Any  # float32 [N, ...], or a pytree of such arrays
LogitsFn = Callable[[jax.Array], Logits]


def mean_of_heads(function: Callable[..., jax.Array], *logits: Logits) -> jax.Array:
    """The mean of `function` of the logits, over all heads alike; element by element of several."""
    heads = zip(*(jax.tree.leaves(each) for each in logits), strict=True)
    first, *others = (function(*head).mean() for head in heads)
    return sum(others, first) / (1 + len(others))


def real_loss(kind: str, logits: Logits) -> jax.Array:
    """The discriminator's loss on samples it should call real.

    'bce': -log sigmoid(l) (Goodfellow et al. 2014); 'lsgan': (l - 1)^2 (Mao et al. 2017);
    'hinge': max(0, 1 - l) (Lim & Ye 2017); 'wgan': -l (Arjovsky et al. 2017).
    """
    match kind:
        case "bce":
            return mean_of_heads(lambda x: jax.nn.softplus(-x), logits)
        case "lsgan":
            return mean_of_heads(lambda x: jnp.square(x - 1), logits)
        case "hinge":
            return mean_of_heads(lambda x: jax.nn.relu(1 - x), logits)
        case "wgan":
            return -mean_of_heads(lambda x: x, logits)
    raise ValueError(
        f"no adversarial loss {kind!r} of single samples; there are: {', '.join(SINGLE)}"
    )


def fake_loss(kind: str, logits: Logits) -> jax.Array:
    """The discriminator's loss on samples it should call fake: the counterpart of `real_loss`."""
    match kind:
        case "bce":
            return mean_of_heads(jax.nn.softplus, logits)
        case "lsgan":
            return mean_of_heads(jnp.square, logits)
        case "hinge":
            return mean_of_heads(lambda x: jax.nn.relu(1 + x), logits)
        case "wgan":
            return mean_of_heads(lambda x: x, logits)
    raise ValueError(
        f"no adversarial loss {kind!r} of single samples; there are: {', '.join(SINGLE)}"
    )


def generator_loss(kind: str, logits: Logits) -> jax.Array:
    """The generator's loss on the logits of its own output.

    For 'bce' the non-saturating -log sigmoid(l); for 'hinge' and 'wgan' -l; for 'lsgan' (l - 1)^2.
    """
    return real_loss("wgan" if kind == "hinge" else kind, logits)


def relativistic_loss(better: Logits, worse: Logits) -> jax.Array:
    """The mean of -log sigmoid(better - worse), of the logits of pairs (Jolicoeur-Martineau 2018).

    R3GAN's (Huang et al. 2024), who pair each real sample with a fake one: the discriminator's loss
    of (real, fake) and the generator's of (fake, real). With R1 and R2 it converges, and a
    generator that covers few samples gains nothing.
    """
    return mean_of_heads(lambda b, w: jax.nn.softplus(w - b), better, worse)


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


def zero_centred_penalty(discriminator: LogitsFn, x: jax.Array) -> jax.Array:
    """E[|grad D(x)|^2] / 2 at samples [N, H, W, C] (Mescheder et al. 2018).

    R1 is that of real samples, R2 that of fake ones. The gradient is that of the mean logit of each
    image, of several heads their mean.
    """
    return _squared_gradient_norms(discriminator, x).mean() / 2


def _squared_gradient_norms(discriminator: LogitsFn, x: jax.Array) -> jax.Array:
    def sum_of_mean_logits(x):
        heads = jax.tree.leaves(discriminator(x))
        first, *others = (head.reshape(head.shape[0], -1).mean(axis=1).sum() for head in heads)
        return sum(others, first) / len(heads)

    gradient = jax.grad(sum_of_mean_logits)(x)
    return jnp.square(gradient).sum(axis=(1, 2, 3))
