import cv2
import numpy as np
import pytest

from jaxstyle.data.scenes import clip
from jaxstyle.errors import UserError
from jaxstyle.evaluation.footage import Motion
from jaxstyle.evaluation.optical_flow import film_motion, first_frames
from jaxstyle.evaluation.temporal_consistency import warp_error


def texture(height, width, seed=0):
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def test_a_pan_is_found_and_what_leaves_the_picture_is_not_visible():
    picture = texture(120, 160)
    film = np.stack([picture[20 + 2 * t : 100 + 2 * t, 30 - 3 * t : 130 - 3 * t] for t in range(6)])
    for span in (1, 3):
        motion = film_motion(film, span)
        assert motion.span == span
        assert motion.first == tuple(range(6 - span))
        assert motion.flow.shape == (6 - span, 80, 100, 2)
        assert motion.flow.dtype == np.float32
        middle = motion.flow[:, 16:-16, 16:-16]
        assert np.abs(middle - np.array([3, -2]) * span).max() < 0.3
        assert motion.visible[:, 16:-16, 16:-16].mean() > 0.99
        assert not motion.visible[:, : 2 * span - 1].any()
        assert not motion.visible[:, :, 101 - 3 * span :].any()


def test_what_a_moving_piece_covers_is_not_visible():
    ground, piece = texture(96, 128), texture(40, 40, seed=1)
    film = np.stack([ground, ground])
    film[0, 30:70, 40:80] = film[1, 30:70, 48:88] = piece
    motion = film_motion(film, 1)
    covered = np.zeros((96, 128), bool)
    covered[32:68, 81:87] = True
    far = cv2.dilate(covered.astype(np.uint8), np.ones((25, 25))) == 0
    assert motion.visible[0, covered].mean() < 0.25
    assert motion.visible[0, far].mean() > 0.95


def test_nothing_is_visible_across_a_cut():
    # Blurred noise looks alike everywhere: some 30 % of it returns to where it was by chance.
    film = np.stack([texture(96, 128, seed=k) for k in (0, 1)])
    motion = film_motion(film[[0, 0, 1, 1]], 1)
    assert list(motion.visible.mean(axis=(1, 2))) == [1, 0, 1]
    assert warp_error(film, film_motion(film, 1)) is None


@pytest.mark.parametrize(
    ("count", "span", "pairs", "expected"),
    [
        (6, 1, None, (0, 1, 2, 3, 4)),
        (20, 8, 4, (0, 4, 7, 11)),
        (5, 2, 9, (0, 1, 2)),
        (9, 8, 1, (0,)),
        (8, 8, 4, ()),
    ],
)
def test_pairs_are_spread_over_the_whole_film(count, span, pairs, expected):
    assert first_frames(count, span, pairs) == expected


def test_films_too_small_or_short_are_refused_or_have_no_pairs():
    with pytest.raises(UserError, match="64x15 pixels"):
        film_motion(texture(15, 64)[None].repeat(2, 0), 1)
    small = film_motion(texture(16, 300)[None].repeat(2, 0), 1)
    assert np.isfinite(small.flow).all()
    short = film_motion(texture(32, 48)[None], 1)
    assert short.flow.shape == (0, 32, 48, 2)
    assert short.visible.shape == (0, 32, 48)
    with pytest.raises(ValueError, match="span 0"):
        film_motion(texture(32, 48)[None], 0)


@pytest.mark.slow
@pytest.mark.parametrize("span", [1, 8])
def test_warp_error_along_the_estimate_agrees_with_that_along_the_exact_flow(span):
    pairs = [(0, span), (8 - span, 8)] if span < 8 else [(0, 8)]
    first = tuple(t for t, _ in pairs)
    errors = {"photo": [], "cel": []}
    for seed in range(70, 76):
        shot = clip(seed, 9, (128, 128), pairs)
        exact = Motion(span, first, shot.flow, ~shot.occluded)
        estimate = film_motion(shot.photo, span, len(pairs))
        assert estimate.first == first
        for rendering, both in errors.items():
            frames = getattr(shot, rendering)
            both.append((warp_error(frames, exact), warp_error(frames, estimate)))
    for both in errors.values():
        along_exact, along_estimate = np.mean(both, axis=0)
        assert along_estimate == pytest.approx(along_exact, rel=0.2)


def read_flo(path):
    """Middlebury's format: a magic number, width, height, then (x, y) as float32."""
    data = path.read_bytes()
    assert np.frombuffer(data, np.float32, 1) == 202021.25
    width, height = np.frombuffer(data, np.int32, 2, offset=4)
    return np.frombuffer(data, np.float32, offset=12).reshape(height, width, 2)


def test_estimates_are_near_the_measured_flow_of_real_pictures(media):
    errors = []
    for name in ("Dimetrodon", "Grove2", "RubberWhale"):
        folder = media / "flow" / "middlebury" / name
        film = np.stack([cv2.imread(str(folder / f"frame{k}.png"))[..., ::-1] for k in (10, 11)])
        truth = read_flo(folder / "flow10.flo")
        known = np.abs(truth).max(-1) < 1e9
        motion = film_motion(film, 1)
        error = np.linalg.norm(motion.flow[0] - truth, axis=-1)
        assert motion.visible[0].mean() > 0.9
        assert error[known & motion.visible[0]].mean() <= error[known].mean()
        errors.append(error[known].mean())
    assert max(errors) < 2
    assert np.mean(errors) < 1
