import jax
import jax.numpy as jnp
import pytest

from jaxstyle.errors import UserError
from jaxstyle.models import build_discriminator


@pytest.mark.parametrize(("layers", "patch"), [(1, 16), (2, 34), (3, 70)])
def test_a_logit_sees_the_patch_its_depth_promises(layers, patch):
    discriminator = build_discriminator(
        {"name": "patch", "layers": layers, "width": 4, "norm": "none"}
    )
    x = jax.random.normal(jax.random.key(0), (1, 160, 160, 3))
    variables = discriminator.init(jax.random.key(1), x)

    def middle_logit(x):
        logits = discriminator.apply(variables, x)
        return logits[0, logits.shape[1] // 2, logits.shape[2] // 2, 0]

    seen = jnp.abs(jax.grad(middle_logit)(x)).max(axis=(0, 3)) > 0
    rows, columns = seen.any(axis=1).sum(), seen.any(axis=0).sum()
    assert (rows, columns) == (patch, patch)


@pytest.mark.parametrize("norm", ["none", "instance"])
@pytest.mark.parametrize("spectral_norm", [False, True])
def test_every_variant_gives_finite_logits_per_patch(norm, spectral_norm):
    discriminator = build_discriminator(
        {"name": "patch", "layers": 2, "width": 4, "norm": norm, "spectral_norm": spectral_norm}
    )
    x = jax.random.normal(jax.random.key(0), (2, 64, 64, 3))
    variables = discriminator.init(jax.random.key(1), x)
    assert ("batch_stats" in variables) == spectral_norm
    logits = discriminator.apply(variables, x)
    assert logits.shape == (2, 14, 14, 1)
    assert jnp.isfinite(logits).all()


def test_unknown_norm_is_refused():
    with pytest.raises(UserError, match="none, instance"):
        build_discriminator({"name": "patch", "norm": "batch"})
