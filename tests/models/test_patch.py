import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.errors import UserError
from jaxstyle.models import build_discriminator


@pytest.mark.slow
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


def test_each_style_has_a_logit_of_its_own_on_shared_features():
    one, three = (
        build_discriminator({"name": "patch", "layers": 2, "width": 4, "styles": k}) for k in (1, 3)
    )
    x = jax.random.normal(jax.random.key(0), (2, 32, 32, 3))
    random = np.random.default_rng(0)
    parameters = jax.tree.map(
        lambda a: random.normal(0, 0.2, a.shape).astype(np.float32),
        jax.eval_shape(three.init, jax.random.key(1), x)["params"],
    )
    logits = three.apply({"params": parameters}, x)
    assert logits.shape == (2, 6, 6, 3)
    for style in range(3):
        head = jax.tree.map(lambda a, k=style: a[..., k : k + 1], parameters["logits"])
        single = one.apply({"params": {**parameters, "logits": head}}, x)
        assert jnp.allclose(single, logits[..., style : style + 1], atol=1e-5)
