from pathlib import Path

import cv2
import numpy as np
import pytest

from jaxstyle.guides.painters import PAINTERS
from jaxstyle.guides.painters.matching import to_lab

pytestmark = pytest.mark.slow

# One size for all pictures, and one for flat colours: the filter of dabs compiles for each.
HEIGHT, WIDTH = 316, 320
FLAT_SIDE = 96
DOWN, RIGHT = 5, 4
# What is further away than this does not count: of the surroundings that starry tells a colour
# and a lightness from, four standard deviations of 10 and of 20 pixels, and the 16 pixels of a dab
# and its direction, and 6 of the last blur.
REACH = 145
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def wall(soft_shapes):
    """Larger than what is painted of it."""
    return soft_shapes(HEIGHT + DOWN, WIDTH + RIGHT, across=13, grain=0.05)


@pytest.fixture(scope="module", params=PAINTERS)
def painter(request):
    return PAINTERS[request.param]


@pytest.fixture(scope="module")
def painted(painter, wall):
    return painter(wall[:HEIGHT, :WIDTH])


def test_a_painter_makes_a_picture_of_the_same_size(painted, wall):
    assert painted.shape == (HEIGHT, WIDTH, 3)
    assert painted.dtype == np.float32
    assert painted.min() >= 0
    assert painted.max() <= 1
    assert np.abs(painted - wall[:HEIGHT, :WIDTH]).mean() > 0.02


def test_every_machine_paints_alike(painter, painted):
    """To a rounding: OpenCV, NumPy and XLA have code for each kind of processor, and round apart.

    So no hash can be promised. Between their code for SSE3 and AVX-512, with and without Intel's
    IPP, single pixels differ by up to 4 levels of 255; the means of 8x8 pixels that the pictures in
    `golden` hold, by up to a fifth of one. If they changed on purpose, `VERSION` goes up with them.
    """
    shown = 255 * painted[: HEIGHT // 8 * 8].reshape(HEIGHT // 8, 8, WIDTH // 8, 8, 3)
    golden = cv2.imread(str(GOLDEN / f"{painter.__name__}.png"))[..., ::-1]
    np.testing.assert_allclose(shown.mean(axis=(1, 3)), golden, atol=0.75)  # 0.5 are of uint8


def test_a_painter_leaves_its_input_and_paints_it_alike_again(painter, painted, wall):
    photo = wall[:HEIGHT, :WIDTH].copy()
    np.testing.assert_array_equal(painter(photo), painted)
    np.testing.assert_array_equal(photo, wall[:HEIGHT, :WIDTH])


def test_what_is_painted_moves_with_the_picture(painter, painted, wall):
    """What did not could not be learned by a convolutional generator, and would flicker."""
    moved = painter(wall[DOWN:, RIGHT:])
    both = painted[DOWN:, RIGHT:], moved[:-DOWN, :-RIGHT]
    inside = (slice(REACH, -REACH), slice(REACH, -REACH))
    assert np.ptp(painted[DOWN:, RIGHT:][inside]) > 0.2
    np.testing.assert_allclose(both[0][inside], both[1][inside], atol=1e-4)


def test_a_blank_wall_gets_no_strokes(painter):
    painted = painter(flat(0.5, 0.4, 0.35))
    assert np.ptp(painted, axis=(0, 1)).max() < 1e-4


def flat(*colour):
    return np.broadcast_to(np.float32(colour), (FLAT_SIDE, FLAT_SIDE, 3)).copy()


@pytest.mark.parametrize(("name", "darkest"), [("starry", 0.2), ("woodblock", 0.03)])
def test_tones_go_from_blue_to_yellow(name, darkest):
    dark, light = (PAINTERS[name](flat(tone, tone, tone)) for tone in (darkest, 0.97))
    red, green, blue = dark[40, 40]
    assert blue > green > red
    red, green, blue = light[40, 40]
    assert min(red, green) > blue + 0.05
    assert dark.mean() < 0.5 < light.mean()


def test_the_darkest_of_starry_is_neutral():
    """As in the painting."""
    assert np.ptp(PAINTERS["starry"](flat(0.03, 0.03, 0.03))[40, 40]) < 0.1


def test_oil_has_violet_shadows_and_cool_lights():
    painted = (PAINTERS["oil"](flat(tone, tone, tone)) for tone in (0.25, 0.8))
    (_, a_shadow, b_shadow), (_, a_light, b_light) = (to_lab(image)[40, 40] for image in painted)
    assert a_shadow > 1
    assert b_shadow < -4
    assert a_light < -1
    assert b_shadow + 8 < b_light < -2


def test_a_cel_shows_faint_colours_clearly_and_keeps_their_hue():
    """Its cool light, as seen on grey, is taken off first."""
    faint, grey = flat(0.42, 0.45, 0.52), flat(0.45, 0.45, 0.45)
    before, after, light = (
        to_lab(image)[40, 40, 1:] for image in (faint, *map(PAINTERS["cel"], (faint, grey)))
    )
    after = after - light
    assert np.linalg.norm(after) > 1.5 * np.linalg.norm(before)
    cosine = before @ after / np.linalg.norm(before) / np.linalg.norm(after)
    np.testing.assert_allclose(cosine, 1, atol=5e-3)


def test_a_cel_has_a_cool_light_and_leaves_black_and_white():
    black, grey, white = (
        to_lab(PAINTERS["cel"](flat(tone, tone, tone)))[40, 40, 1:] for tone in (0, 0.3, 1)
    )
    assert np.all(grey < -4)
    np.testing.assert_allclose([black, white], 0, atol=1)


@pytest.mark.parametrize("name", ["starry", "woodblock"])
def test_what_is_warm_stays_warm_and_what_is_cold_turns_blue(name):
    warm, cold = (PAINTERS[name](flat(*c))[40, 40] for c in ((0.75, 0.45, 0.2), (0.4, 0.5, 0.4)))
    assert warm[0] - warm[2] > 0.05
    assert cold[2] - cold[0] > 0.05


@pytest.mark.parametrize(
    ("name", "ends", "where"),
    # Starry's are at the ends of a slope too, where it differs from its surroundings.
    [("starry", (145, 175), slice(125, 195)), ("woodblock", (80, 160), slice(85, 155))],
)
def test_strokes_follow_the_shapes(name, ends, where):
    """Across a slope of light there are waves, along it there are none."""
    slope = np.interp(np.arange(WIDTH), ends, [0.1, 0.8]).astype(np.float32)[None, :, None]
    painted = PAINTERS[name](np.broadcast_to(slope, (HEIGHT, WIDTH, 3)).copy()).mean(axis=-1)
    assert np.ptp(painted, axis=0).max() < 1e-3
    falls = np.diff(painted[40, where]) < -1e-3
    assert falls.sum() > 10


def test_shapes_get_dark_outlines():
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    distance = np.hypot(y - HEIGHT // 2, x - WIDTH // 2)
    disc = np.where((distance < 30)[..., None], np.float32(0.8), np.float32(0.35))
    for name in ("cel", "woodblock"):
        painted = PAINTERS[name](np.repeat(disc, 3, axis=-1)).mean(axis=-1)
        outline = painted[np.abs(distance - 30) < 3].min()
        assert outline < 0.6 * painted[distance > 40].mean()
        assert outline < 0.4 * painted[distance < 20].mean()
