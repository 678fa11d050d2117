import threading

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.inference.bundle import Bundle
from jaxstyle.inference.engine import Stylizer
from jaxstyle.inference.settings import Settings
from jaxstyle.realtime.scheduler import Scheduler


class Shift(nn.Module):
    """x + shift, pixel by pixel."""

    stride = 4
    receptive_radius = 0

    @nn.compact
    def __call__(self, x):
        return x + self.param("shift", nn.initializers.zeros, ())


class Scale(nn.Module):
    """scale * x: another architecture."""

    stride = 4
    receptive_radius = 0

    @nn.compact
    def __call__(self, x):
        return x * self.param("scale", nn.initializers.ones, ())


BRIGHTER = Bundle(Shift(), {"shift": jnp.float32(0.4)}, {})
DARKER = Bundle(Shift(), {"shift": jnp.float32(-0.4)}, {})
NEGATIVE = Bundle(Scale(), {"scale": jnp.float32(-1)}, {})


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(60, 190, (height, width, 3), np.uint8)


@pytest.fixture
def compilations():
    """What has been compiled since the list was last cleared."""
    events = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: events.append(event) if "compile" in event else None
    )
    yield events
    jax.monitoring.clear_event_listeners()


def wait_until_prepared(scheduler):
    scheduler._preparation.join(60)


@pytest.mark.slow
def test_no_control_compiles_anything_once_all_is_prepared(compilations):
    live = Scheduler(Stylizer([BRIGHTER, DARKER, NEGATIVE]), live=True)
    frame = noise(48, 64)
    live.start([frame], Settings()).pictures()
    wait_until_prepared(live)
    assert compilations
    compilations.clear()
    for style in range(3):
        for mix in (0.0, 0.3, 1.0):
            for values in ({"strength": 0.5}, {"split": 0.5}, {"smoothing": 0.5}, {}):
                live.start([frame], Settings(style=style, mix=mix, **values)).pictures()
    # Nor does a stream that comes back in another size, nor the quality controller.
    for size in ((36, 64), (480, 640), (7, 5)):
        live.start([noise(*size)], Settings()).pictures()
    for _ in range(100):
        job = live.start([frame], Settings())
        live.observe(job, 1.0)
    assert not compilations
    live.close()


def test_styles_are_what_their_bundles_make_of_a_frame():
    live = Scheduler(Stylizer([BRIGHTER, DARKER, NEGATIVE]), live=True)
    frame = noise(48, 64)
    live.start([frame], Settings()).pictures()
    wait_until_prepared(live)

    def show(**settings):
        return live.start([frame], Settings(**settings)).pictures()[0].astype(float)

    np.testing.assert_allclose(show(style=0), frame + 51.0, atol=1)
    np.testing.assert_allclose(show(style=1), frame - 51.0, atol=1)
    np.testing.assert_allclose(show(style=2), 255.0 - frame, atol=1)
    np.testing.assert_allclose(show(style=0, mix=0.5), frame, atol=1)
    np.testing.assert_allclose(show(style=0, mix=0.5, strength=0.0), frame, atol=1)
    # After the last style comes the first.
    mixed = 0.75 * (255.0 - frame) + 0.25 * (frame + 51.0)
    np.testing.assert_allclose(show(style=2, mix=0.25), mixed, atol=1)
    live.close()


def test_a_style_that_is_not_compiled_yet_is_shown_once_it_is(monkeypatch):
    monkeypatch.setattr(Scheduler, "_prepare", lambda *_: None)
    stylizer = Stylizer([BRIGHTER, NEGATIVE])
    live = Scheduler(stylizer, live=True)
    frame = noise(48, 64)
    live.start([frame], Settings()).pictures()
    (shown,) = live.start([frame], Settings(style=1, strength=0.5)).pictures()
    np.testing.assert_allclose(shown, frame + 25.5, atol=1)
    stylizer.prepare((1, 48, 64, 3), Settings(style=1))
    (shown,) = live.start([frame], Settings(style=1)).pictures()
    np.testing.assert_allclose(shown, 255.0 - frame, atol=1)
    live.close()


def test_the_split_view_counts_in_widths_of_the_picture_not_of_its_bucket():
    live = Scheduler(Stylizer(BRIGHTER), live=True)
    live.start([noise(64, 64)], Settings()).pictures()
    frame = noise(64, 32)
    (shown,) = live.start([frame], Settings(split=0.5)).pictures()
    np.testing.assert_array_equal(shown[:, :15], frame[:, :15])
    np.testing.assert_allclose(shown[:, 17:], frame[:, 17:] + 51.0, atol=1)
    assert (shown[:, 15:17] == 255).any()
    live.close()


def test_live_frames_are_computed_at_no_more_than_the_size_asked_for():
    live = Scheduler(Stylizer(BRIGHTER), live=True, size=(64, 64))
    (shown,) = live.start([noise(96, 256)], Settings()).pictures()
    assert shown.shape == (24, 64, 3)
    live.close()


@pytest.mark.slow
def test_frames_that_take_too_long_are_computed_at_a_smaller_size():
    live = Scheduler(Stylizer(BRIGHTER), live=True, fps=30)
    frame = np.full((64, 96, 3), 100, np.uint8)
    live.start([frame], Settings()).pictures()
    wait_until_prepared(live)
    notes = []
    for _ in range(40):
        job = live.start([frame], Settings())
        notes.append(live.observe(job, 0.05 if job.pictures()[0].shape[0] == 64 else 0.01))
    assert [note for note in notes if note] == ["to hold 30 fps, frames are now computed at 68x48"]
    (shown,) = live.start([frame], Settings()).pictures()
    assert shown.shape == (45, 68, 3)
    assert (shown == 151).all()
    live.close()


def test_the_time_that_frames_take_beside_a_compilation_decides_nothing():
    live = Scheduler(Stylizer(BRIGHTER), live=True, fps=30)
    frame = np.full((64, 96, 3), 100, np.uint8)
    job = live.start([frame], Settings())
    wait_until_prepared(live)
    compiling = threading.Event()
    live._preparation = threading.Thread(target=compiling.wait)
    live._preparation.start()
    assert not any(live.observe(job, 1.0) for _ in range(50))
    compiling.set()
    live._preparation.join()
    assert any(live.observe(job, 1.0) for _ in range(50))


def test_styles_of_a_film_that_is_watched_can_be_changed_and_mixed():
    film = Scheduler(Stylizer([BRIGHTER, NEGATIVE]), watched=True)
    frame = noise(48, 62)
    film.start([frame], Settings()).pictures()
    wait_until_prepared(film)
    (shown,) = film.start([frame], Settings(style=1)).pictures()
    np.testing.assert_allclose(shown, 255.0 - frame, atol=1)
    (shown,) = film.start([frame], Settings(mix=0.5)).pictures()
    np.testing.assert_allclose(shown, (frame + 51.0 + 255.0 - frame) / 2, atol=1)


def test_a_large_picture_is_left_whole_for_a_model_that_needs_all_of_it(monkeypatch):
    class Centred(nn.Module):
        stride = 4

        @nn.compact
        def __call__(self, x):
            return x - x.mean()

    monkeypatch.setattr("jaxstyle.realtime.scheduler._MOST_PIXELS", 1000)
    frame = np.full((52, 64, 3), 200, np.uint8)
    (shown,) = Scheduler(Stylizer(Bundle(Centred(), {}, {}))).start([frame], Settings()).pictures()
    assert np.abs(shown.astype(int) - 127).max() <= 1


@pytest.mark.parametrize("smoothing", [0.0, 0.6])
def test_a_film_in_batches_is_the_film_frame_by_frame(smoothing):
    frames = [noise(20, 28, seed) // 40 + 100 for seed in range(7)]
    settings = Settings(smoothing=smoothing)
    one = Scheduler(Stylizer(BRIGHTER))
    single = [one.start([frame], settings).pictures()[0] for frame in frames]
    batched = Scheduler(Stylizer(BRIGHTER), batch=3)
    groups = [frames[:3], frames[3:6], frames[6:]]
    together = [rgb for group in groups for rgb in batched.start(group, settings).pictures()]
    assert len(together) == 7
    np.testing.assert_allclose(np.stack(together), np.stack(single), atol=1)


def test_images_of_many_sizes_share_programs(compilations):
    images = Scheduler(Stylizer(BRIGHTER), rounded=True)
    images.start([noise(100, 120)], Settings()).pictures()
    compilations.clear()
    for size in ((65, 128), (128, 65), (90, 77)):
        frame = noise(*size)
        (shown,) = images.start([frame], Settings()).pictures()
        np.testing.assert_allclose(shown, frame + 51.0, atol=1)
    assert not compilations


def test_a_picture_too_large_for_memory_is_computed_in_tiles(monkeypatch):
    monkeypatch.setattr("jaxstyle.realtime.scheduler._MOST_PIXELS", 1000)
    frame = noise(50, 61)
    (shown,) = Scheduler(Stylizer(BRIGHTER)).start([frame], Settings()).pictures()
    np.testing.assert_allclose(shown, frame + 51.0, atol=1)
