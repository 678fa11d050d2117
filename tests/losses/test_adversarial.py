import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.losses import adversarial

LOGITS = np.array([-2.0, -0.5, 0.0, 0.3, 4.0], np.float32)
SIGMOID = 1 / (1 + np.exp(-LOGITS))

EXPECTED = {
    "bce": (-np.log(SIGMOID), -np.log(1 - SIGMOID), -np.log(SIGMOID)),
    "lsgan": ((LOGITS - 1) ** 2, LOGITS**2, (LOGITS - 1) ** 2),
    "hinge": (np.maximum(0, 1 - LOGITS), np.maximum(0, 1 + LOGITS), -LOGITS),
    "wgan": (-LOGITS, LOGITS, -LOGITS),
}


@pytest.mark.parametrize("kind", adversarial.SINGLE)
def test_losses_equal_their_formulas(kind):
    real, fake, generator = EXPECTED[kind]
    logits = jnp.asarray(LOGITS).reshape(1, 5, 1, 1)
    np.testing.assert_allclose(adversarial.real_loss(kind, logits), real.mean(), rtol=1e-5)
    np.testing.assert_allclose(adversarial.fake_loss(kind, logits), fake.mean(), rtol=1e-5)
    np.testing.assert_allclose(
        adversarial.generator_loss(kind, logits), generator.mean(), rtol=1e-5
    )


@pytest.mark.parametrize("kind", adversarial.SINGLE)
def test_heads_count_alike_however_many_logits_they_have(kind):
    heads = {"a": jnp.asarray(LOGITS).reshape(1, 5, 1, 1), "b": jnp.full((1, 2, 4, 1), 0.7)}
    for loss in (adversarial.real_loss, adversarial.fake_loss, adversarial.generator_loss):
        expected = (loss(kind, heads["a"]) + loss(kind, heads["b"])) / 2
        np.testing.assert_allclose(loss(kind, heads), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "loss", [adversarial.real_loss, adversarial.fake_loss, adversarial.generator_loss]
)
def test_unknown_kind_is_refused(loss):
    with pytest.raises(ValueError, match="lsgan"):
        loss("l2", jnp.zeros(3))


def test_bce_stays_finite_for_extreme_logits():
    logits = jnp.array([-1e4, 1e4])
    for loss in (adversarial.real_loss, adversarial.fake_loss):
        value, gradient = jax.value_and_grad(lambda x, f=loss: f("bce", x))(logits)
        assert jnp.isfinite(value)
        assert jnp.isfinite(gradient).all()


def test_relativistic_loss_is_the_cross_entropy_of_pairs():
    real, fake = np.random.default_rng(0).normal(0, 3, (2, 5, 4)).astype(np.float32)
    sigmoid = 1 / (1 + np.exp(-(real - fake)))
    for better, worse, probability in ((real, fake, sigmoid), (fake, real, 1 - sigmoid)):
        loss = adversarial.relativistic_loss(jnp.asarray(better), jnp.asarray(worse))
        np.testing.assert_allclose(loss, -np.log(probability).mean(), rtol=1e-4)
    # Pairs of one head, never of two.
    heads = adversarial.relativistic_loss(
        {"a": jnp.zeros((2, 3)), "b": jnp.full((2, 1), 2.0)},
        {"a": jnp.zeros((2, 3)), "b": jnp.full((2, 1), -1.0)},
    )
    np.testing.assert_allclose(heads, (np.log(2) + np.log1p(np.exp(-3))) / 2, rtol=1e-5)


def linear(weights):
    """A patch discriminator of two equal logits, w . x, whose gradient is known: w."""
    return lambda x: jnp.repeat(jnp.einsum("nhwc,hwc->n", x, weights)[:, None], 2, axis=1)


def test_r1_is_half_the_squared_gradient():
    weights = jax.random.normal(jax.random.key(0), (4, 4, 3))
    real = jax.random.normal(jax.random.key(1), (2, 4, 4, 3))
    expected = np.square(weights).sum() / 2
    np.testing.assert_allclose(
        adversarial.zero_centred_penalty(linear(weights), real), expected, rtol=1e-5
    )


def test_r1_of_several_heads_is_that_of_their_mean():
    a, b = jax.random.normal(jax.random.key(0), (2, 4, 4, 3))
    real = jax.random.normal(jax.random.key(1), (2, 4, 4, 3))
    expected = np.square((a + b) / 2).sum() / 2
    penalty = adversarial.zero_centred_penalty(
        lambda x: {"a": linear(a)(x), "b": linear(b)(x)}, real
    )
    np.testing.assert_allclose(penalty, expected, rtol=1e-5)


def test_gradient_penalty_vanishes_for_slope_one_and_grows_beyond():
    weights = jax.random.normal(jax.random.key(0), (4, 4, 3))
    unit = weights / jnp.linalg.norm(weights)
    real, fake = jax.random.normal(jax.random.key(1), (2, 2, 4, 4, 3))
    keys = jax.random.split(jax.random.key(2), 2)
    for slope in (1.0, 3.0):
        penalty = adversarial.gradient_penalty(linear(slope * unit), real, fake, keys)
        np.testing.assert_allclose(penalty, (slope - 1) ** 2, atol=1e-5)


def test_gradient_penalty_is_taken_between_real_and_fake():
    real, fake = jnp.ones((64, 2, 2, 1)), jnp.zeros((64, 2, 2, 1))
    seen = []

    def discriminator(x):
        jax.debug.callback(lambda v: seen.append(np.asarray(v)), x)
        return x.sum(axis=(1, 2, 3))

    keys = jax.random.split(jax.random.key(0), 64)
    adversarial.gradient_penalty(discriminator, real, fake, keys)
    jax.effects_barrier()
    mixes = seen[0][:, 0, 0, 0]
    assert ((mixes >= 0) & (mixes <= 1)).all()
    assert mixes.std() > 0.2, "each image has a mix of its own"
    np.testing.assert_allclose(seen[0].std(axis=(1, 2, 3)), 0, atol=1e-6)
