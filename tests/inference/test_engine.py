import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.errors import UserError
from jaxstyle.inference.bundle import Bundle
from jaxstyle.inference.engine import Stylizer, initial_state, keep_compiled_programs
from jaxstyle.inference.settings import Settings


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


def film(stylizer, pictures, **settings):
    """The stylized pictures, one after the other."""
    state = initial_state(*pictures[0].shape[:2])
    results = []
    for picture in pictures:
        state, result = stylizer.step(state, picture[None], Settings(**settings))
        results.append(np.asarray(result)[0].astype(float))
    return np.stack(results)


def test_smoothing_calms_noise_where_the_input_stands_still():
    rng = np.random.default_rng(0)
    still = rng.integers(40, 200, (24, 32, 3))
    noisy = [(still + rng.normal(0, 3, still.shape)).round().astype(np.uint8) for _ in range(40)]
    plain, smooth = (film(Stylizer(bundle()), noisy, smoothing=s)[20:] for s in (0.0, 0.8))
    assert smooth.std(axis=0).mean() < 0.5 * plain.std(axis=0).mean()
    np.testing.assert_allclose(smooth.mean(axis=0), plain.mean(axis=0), atol=4)


def test_smoothing_leaves_no_ghost_of_what_moves():
    pictures = [np.full((24, 64, 3), 30, np.uint8) for _ in range(8)]
    for i, picture in enumerate(pictures):
        picture[8:16, 6 * i : 6 * i + 8] = 220
    result = film(Stylizer(bundle()), pictures, smoothing=0.9)
    np.testing.assert_allclose(result, 255.0 - np.stack(pictures), atol=1)


def test_smoothing_starts_anew_when_it_was_off():
    grey, stylizer = np.full((8, 8, 3), 100, np.uint8), Stylizer(bundle(shift=0.4))
    state = initial_state(8, 8)
    state, _ = stylizer.step(state, grey[None], Settings(smoothing=0.5, strength=0.0))
    state, _ = stylizer.step(state, grey[None], Settings(strength=0.0))
    state, result = stylizer.step(state, grey[None], Settings(smoothing=0.5))
    assert (np.asarray(result) == 206).all()


def test_the_split_view_shows_the_input_on_the_left():
    x = frames(1, 16, 32)
    _, result = Stylizer(bundle()).step(initial_state(16, 32), x, Settings(split=0.5))
    result = np.asarray(result)
    np.testing.assert_array_equal(result[:, :, :15], x[:, :, :15])
    np.testing.assert_array_equal(result[:, :, 17:], 255 - x[:, :, 17:])
    assert (result[:, :, 16] == 255).all()


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
