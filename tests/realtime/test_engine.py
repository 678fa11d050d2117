import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.bundle import Bundle
from jaxstyle.errors import UserError
from jaxstyle.realtime.engine import Stylizer, keep_compiled_programs


class Negative(nn.Module):
    """-x + shift: an exact answer to compare with, which needs sizes in multiples of 8."""

    stride = 8

    @nn.compact
    def __call__(self, x):
        assert x.shape[1] % self.stride == 0
        assert x.shape[2] % self.stride == 0
        return -x + self.param("shift", nn.initializers.zeros, ())


def bundle(shift=0.0):
    return Bundle(Negative(), {"shift": jnp.float32(shift)}, {})


def frames(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


@pytest.mark.parametrize("size", [(16, 24), (17, 23), (1, 1), (9, 64)])
def test_frames_of_any_size_come_back_in_that_size(size):
    x = frames(2, *size)
    np.testing.assert_array_equal(np.asarray(Stylizer(bundle())(x)), 255 - x)


def test_strength_blends_and_rounds_to_nearest():
    x = frames(1, 16, 16)
    stylizer = Stylizer(bundle())
    np.testing.assert_array_equal(np.asarray(stylizer(x, 0.0)), x)
    blended = np.asarray(stylizer(x, 0.25))
    exact = x + 0.25 * (255.0 - 2.0 * x)
    np.testing.assert_allclose(blended.astype(float), exact, atol=0.501)


def test_values_out_of_range_are_clipped_not_wrapped():
    x = frames(1, 8, 8)
    assert (np.asarray(Stylizer(bundle(shift=5.0))(x)) == 255).all()
    assert (np.asarray(Stylizer(bundle(shift=-5.0))(x)) == 0).all()


def test_a_new_strength_does_not_compile_again():
    stylizer = Stylizer(bundle())
    x = frames(1, 16, 16)
    stylizer(x, 1.0).block_until_ready()
    compilations = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compilations.append(event) if "compile" in event else None
    )
    try:
        for strength in (0.0, 0.3, 1.0):
            stylizer(frames(1, 16, 16, seed=1), strength).block_until_ready()
        assert not compilations
        stylizer(frames(1, 24, 16), 1.0).block_until_ready()
        assert compilations  # what the assertion before looks at is what compiling reports
    finally:
        jax.monitoring.clear_event_listeners()


def test_weights_that_are_not_finite_are_refused():
    with pytest.raises(UserError, match="NaN"):
        Stylizer(bundle(shift=np.nan))


def test_other_arrays_are_refused():
    with pytest.raises(ValueError, match="float32"):
        Stylizer(bundle())(np.zeros((1, 8, 8, 3), np.float32))


def test_compiled_programs_are_kept_apart_from_other_caches(tmp_path, monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    before = jax.config.jax_compilation_cache_dir
    try:
        keep_compiled_programs()
        kept = jax.config.jax_compilation_cache_dir
        assert kept == str(tmp_path / ".cache" / "jaxstyle" / "compiled")
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
