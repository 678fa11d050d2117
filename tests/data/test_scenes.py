import hashlib
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from jaxstyle.data.scenes import RENDERINGS, Scenes, clip
from jaxstyle.data.scenes.colors import cel_colour
from jaxstyle.data.scenes.render import LEVELS
from jaxstyle.data.scenes.shot import VERSION, Shot
from jaxstyle.errors import UserError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SEEDS = range(40, 48)


def grey(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Wang et al. 2004, on luma, 11x11 Gaussian window."""
    a, b = grey(a).astype(np.float64), grey(b).astype(np.float64)

    def mean(x):
        return cv2.GaussianBlur(x, (11, 11), 1.5)

    mu_a, mu_b = mean(a), mean(b)
    var_a, var_b = mean(a * a) - mu_a**2, mean(b * b) - mu_b**2
    cov = mean(a * b) - mu_a * mu_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    score = (2 * mu_a * mu_b + c1) * (2 * cov + c2)
    return float((score / ((mu_a**2 + mu_b**2 + c1) * (var_a + var_b + c2))).mean())


def surfaces(shot: Shot, geometry) -> tuple[np.ndarray, np.ndarray]:
    """The (shape, tone) number of each pixel, and where all samples around it have the same."""
    tones = np.array([shape.tones for shape in shot.renderer.scene.shapes])[geometry.shapes]
    tone = np.minimum(geometry.levels / (LEVELS - 1) * tones, tones - 1).astype(int)
    label = (geometry.shapes * 10 + tone).astype(np.float32)
    same = cv2.erode(label, np.ones((9, 9))) == cv2.dilate(label, np.ones((9, 9)))
    return label[::2, ::2], same[::2, ::2] & same[1::2, 1::2]


@pytest.mark.parametrize("rendering", RENDERINGS)
def test_a_seed_gives_the_same_pixels_in_another_process(rendering):
    frame = Scenes(rendering, 1, (96, 128), first_seed=7)[0]
    assert frame.shape == (96, 128, 3)
    assert frame.dtype == np.uint8
    code = (
        "import hashlib; from jaxstyle.data.scenes import Scenes;"
        f"print(hashlib.sha256(Scenes({rendering!r}, 3, (96, 128), 5)[2].tobytes()).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == hashlib.sha256(frame.tobytes()).hexdigest()


@pytest.mark.parametrize(
    ("rendering", "expected"),
    [
        ("photo", "b4fc9470527849b7905b8b56ac9256a3595542d884e56f1b43374efd02a3dde3"),
        ("cel", "6249a3a4c84e630971f5fb8cfc26297c606eda494906caea43ad4e40e9f85e97"),
    ],
)
def test_every_machine_draws_the_very_same_pixels(rendering, expected):
    """If they changed on purpose, `shot.VERSION` goes up, and this with it.

    Nothing is rounded where processors disagree: OpenCV's code for SSE3 to AVX-512, with and
    without Intel's IPP, NumPy's for x86-64-v2 to v4, and OpenBLAS's gave one hash for 200 frames.
    """
    assert VERSION == 1
    frames = b"".join(frame.tobytes() for frame in Scenes(rendering, 12, (64, 96)))
    assert hashlib.sha256(frames).hexdigest() == expected


def test_seeds_give_different_scenes_and_light():
    cels = np.stack(list(Scenes("cel", 12, (64, 64)))).astype(np.float64)
    pairs = [np.abs(a - b).mean() for i, a in enumerate(cels) for b in cels[:i]]
    assert min(pairs) > 5
    assert np.std(cels.mean(axis=(1, 2, 3))) > 15  # from noon to night


def test_scenes_are_the_first_frames_of_clips():
    shot = clip(11, 2, (64, 96))
    assert np.array_equal(shot.photo[0], Scenes("photo", 2, (64, 96), first_seed=10)[1])
    assert np.array_equal(shot.cel[0], Scenes("cel", 2, (64, 96), first_seed=10)[-1])


def test_sensor_noise_changes_from_frame_to_frame_and_repeats_with_the_clip():
    shot = Shot(3, (96, 96))
    still = shot.geometry(0)
    first, second = (shot.draw("photo", still, k).astype(int) for k in (0, 1))
    assert 2 < np.std(first - second) / np.sqrt(2) < 12
    assert np.array_equal(shot.draw("cel", still, 0), shot.draw("cel", still, 1))
    assert np.array_equal(clip(3, 2, (96, 96)).photo[1], clip(3, 3, (96, 96)).photo[1])


def test_both_renderings_show_edges_in_the_same_places():
    aligned = 0
    for seed in SEEDS:
        photo, cel = (
            cv2.morphologyEx(
                grey(Scenes(r, 1, first_seed=seed)[0]), cv2.MORPH_GRADIENT, np.ones((3, 3))
            ).astype(np.float64)
            for r in RENDERINGS
        )
        shifts = [(dx, dy) for dx in range(-3, 4) for dy in range(-3, 4)]
        agreement = [
            np.corrcoef(np.roll(photo, (dy, dx), (0, 1)).ravel(), cel.ravel())[0, 1]
            for dx, dy in shifts
        ]
        aligned += max(map(abs, shifts[int(np.argmax(agreement))])) <= 1
    assert aligned >= len(SEEDS) - 1


def test_cel_is_flat_and_photo_is_noisy_inside_each_surface():
    size = (128, 128)
    for seed in SEEDS:
        shot = Shot(seed, size)
        geometry = shot.geometry(0)
        label, inside = surfaces(shot, geometry)
        spread = {}
        for rendering in RENDERINGS:
            frame = shot.draw(rendering, geometry, 0).astype(np.float64).mean(-1)
            spread[rendering] = [
                frame[inside & (label == k)].std()
                for k in np.unique(label[inside])
                if np.sum(inside & (label == k)) > 60
            ]
        assert np.max(spread["cel"]) < 1e-9
        assert np.median(spread["photo"]) > 2


def test_few_colours_cover_most_of_a_cel():
    for seed in SEEDS:
        cel, photo = (Scenes(r, 1, first_seed=seed)[0].reshape(-1, 3) for r in ("cel", "photo"))

        def covered(pixels):
            counts = np.unique(pixels, axis=0, return_counts=True)[1]
            return np.sort(counts)[::-1][:40].sum() / len(pixels)

        assert covered(cel) > 0.6 > 5 * covered(photo)


def test_photo_and_cel_differ_as_much_as_two_styles_should():
    scores = [ssim(*(Scenes(r, 1, first_seed=s)[0] for r in RENDERINGS)) for s in range(60, 76)]
    assert 0.4 < np.mean(scores) < 0.65


def test_cel_colours_are_lighter_more_saturated_and_smooth_in_the_photo_colour():
    axis = np.linspace(0, 1, 21)
    photo = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)
    cel = cel_colour(photo)
    assert cel.min() >= 0
    assert cel.max() <= 1
    muted = (np.ptp(photo, -1) < 0.4) & (photo.max(-1) < 0.7)  # the rest may clip
    assert np.all((np.ptp(cel, -1) - np.ptp(photo, -1))[muted] > -0.03)
    assert np.mean((np.ptp(cel, -1) / np.maximum(np.ptp(photo, -1), 0.04))[muted]) > 1.4
    assert cel[muted].mean() > photo[muted].mean() + 0.05
    # A step of 0.05 never moves the result by more than a few such steps: no jumps.
    assert max(np.abs(np.diff(cel, axis=k)).max() for k in range(3)) < 0.05 * 4


def test_content_is_the_same_at_every_size():
    large = Scenes("cel", 1, (384, 384), first_seed=21)[0]
    small = Scenes("cel", 1, (128, 128), first_seed=21)[0]
    shrunk = cv2.resize(large, (128, 128), interpolation=cv2.INTER_AREA)
    assert np.corrcoef(grey(shrunk).ravel(), grey(small).ravel())[0, 1] > 0.9
    # A wider picture of the same height shows the same middle and more beside it.
    wide = Scenes("cel", 1, (128, 224), first_seed=21)[0]
    assert np.abs(wide[:, 48:-48].astype(int) - small).mean() < 1
    for odd in ((37, 101), (101, 37)):
        shot = clip(21, 2, odd)
        assert shot.photo.shape == shot.cel.shape == (2, *odd, 3)
        assert shot.flow.shape == (1, *odd, 2)
        assert shot.occluded.shape == (1, *odd)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"rendering": "oil"}, "oil"),
        ({"count": 0}, "0 frames"),
        ({"size": (128, 8)}, "128x8"),
        ({"first_seed": -1}, "-1"),
    ],
)
def test_bad_arguments_are_named(wrong, says):
    with pytest.raises(UserError, match=says):
        Scenes(**({"rendering": "cel", "count": 2} | wrong))


def test_bad_clips_are_refused_and_indices_end():
    with pytest.raises(UserError, match="0 frames"):
        clip(1, 0)
    scenes = Scenes("cel", 2, (32, 32))
    assert len(list(scenes)) == len(scenes) == 2
    with pytest.raises(IndexError):
        scenes[2]


def test_no_seed_fails_and_no_frame_is_uncovered():
    for seed in range(200, 260):
        shot = Shot(seed, (48, 120))
        shapes = shot.geometry(0).shapes
        # Number 0 is the sky, which must not show below the horizon line of the scene.
        below = int(2 * 48 * 0.75)
        assert not np.any(shapes[below:] == 0), f"sky below the ground in seed {seed}"


def test_a_script_without_a_main_guard_can_fill_the_cache(tmp_path):
    script = tmp_path / "plain.py"
    script.write_text(
        "from jaxstyle.data.scenes import Scenes\n"
        f"print(len(Scenes('cel', 3, (32, 32), cache_dir={str(tmp_path)!r})))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "3\n"
    assert "3/3" in done.stderr  # the progress bar
