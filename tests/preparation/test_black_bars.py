import numpy as np
import pytest

from jaxstyle.preparation.black_bars import Bars, brightness_profile, film_bars, find_bars

RNG = np.random.default_rng(0)


def framed(height=90, width=160, *, top=0, bottom=0, left=0, right=0, brightness=200):
    """Noise as a picture, black with a little noise around it."""
    frame = RNG.integers(0, 5, (height, width, 3))
    inner = frame[top : height - bottom, left : width - right]
    inner[:] = RNG.integers(0, brightness, inner.shape)
    return frame.astype(np.uint8)


def bars_of(frames):
    return find_bars([brightness_profile(frame) for frame in frames])


def assert_close(found, true):
    """What is left of the bar would be seen; a pixel of the picture is none too many."""
    for side in ("top", "bottom", "left", "right"):
        expected = getattr(true, side)
        assert expected <= getattr(found, side) <= expected + (2 if expected else 0)


@pytest.mark.parametrize(
    "true", [Bars(), Bars(12, 12), Bars(left=20, right=20), Bars(10, 14, 7, 0), Bars(1, 1)]
)
def test_finds_letterbox_and_pillarbox(true):
    frames = [framed(**vars(true)) for _ in range(20)]
    assert_close(bars_of(frames), true)
    assert true.crop(frames[0]).shape == (
        90 - true.top - true.bottom,
        160 - true.left - true.right,
        3,
    )


def test_black_frames_and_fades_do_not_change_the_bars():
    frames = [framed(top=12, bottom=12, brightness=200 * i // 20 + 1) for i in range(20)]
    frames += [np.zeros((90, 160, 3), np.uint8)] * 40
    assert_close(bars_of(frames), Bars(12, 12))
    assert bars_of(frames[-40:]) == Bars()


def test_a_logo_and_a_line_of_subtitles_now_and_then_do_not_hide_a_bar():
    frames = [framed(top=12, bottom=12) for _ in range(40)]
    for frame in frames:
        frame[4:6, 2:4] = 255
    for frame in frames[:3]:
        frame[82:86, 40:120] = 255
    assert_close(bars_of(frames), Bars(12, 12))


def test_dark_pictures_have_no_bars():
    night = np.full((90, 160, 3), 3, np.uint8)
    vignette = np.clip(np.abs(np.arange(160) - 80) / -1 + 90, 0, 255).astype(np.uint8)
    night[:] = np.maximum(night, vignette[None, :, None])
    assert bars_of([night] * 20) == Bars()
    # The top of the picture is black in most scenes, not in all.
    assert bars_of([framed(top=30)] * 16 + [framed()] * 4) == Bars()


def test_bars_of_a_real_film(media):
    # Chaplin in 4:3 on a wide screen.
    found = film_bars(media / "video/real/moviepy_chaplin.mp4")
    assert (found.top, found.bottom) == (0, 0)
    assert 70 <= found.left <= 75
    assert 70 <= found.right <= 75
    # Shot in the dark.
    assert film_bars(media / "video/odd/nasa_13013_rotated.mp4") == Bars()
