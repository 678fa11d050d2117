import numpy as np
import pytest

from jaxstyle.guides.painters import ART_LOOKS
from jaxstyle.guides.painters.color_transport import art_colors

pytestmark = pytest.mark.slow

# One size for all pictures, and one for flat colours: the filters compile for each.
HEIGHT, WIDTH = 120, 128
DOWN, RIGHT = 5, 4


@pytest.fixture(scope="module")
def wall(soft_shapes):
    """Larger than what is painted of it."""
    return soft_shapes(HEIGHT + DOWN, WIDTH + RIGHT, across=7, grain=0.03)


@pytest.fixture(scope="module")
def art():
    """A picture of reds on cream, of all lightnesses."""
    rng = np.random.default_rng(1)
    share = rng.uniform(size=(60, 60, 1))
    cream, red, black = np.float32([(240, 225, 200), (190, 50, 40), (20, 15, 15)])
    picture = np.where(share > 0.5, red + (2 * share - 1) * (cream - red), black + 2 * share * red)
    return [picture.clip(0, 255).astype(np.uint8)]


@pytest.fixture(scope="module")
def colors(wall, art):
    return art_colors([(255 * wall).astype(np.uint8)], art, palette=8)


@pytest.fixture(scope="module", params=ART_LOOKS)
def look(request):
    return ART_LOOKS[request.param]


@pytest.fixture(scope="module")
def painted(look, wall, colors):
    return look(wall[:HEIGHT, :WIDTH], colors)


def test_a_look_makes_a_picture_of_the_same_size(painted, wall):
    assert painted.shape == (HEIGHT, WIDTH, 3)
    assert painted.dtype == np.float32
    assert painted.min() >= 0
    assert painted.max() <= 1
    assert np.abs(painted - wall[:HEIGHT, :WIDTH]).mean() > 0.05


def test_a_look_leaves_its_input_and_paints_it_alike_again(look, painted, wall, colors):
    photo = wall[:HEIGHT, :WIDTH].copy()
    np.testing.assert_array_equal(look(photo, colors), painted)
    np.testing.assert_array_equal(photo, wall[:HEIGHT, :WIDTH])


def test_what_is_painted_moves_with_the_picture(look, painted, wall, colors):
    """Nearly: flat regions weigh a whole picture's steps. What did not move would flicker."""
    moved = look(wall[DOWN:, RIGHT:], colors)
    inside = (slice(30, -30), slice(30, -30))
    there, here = painted[DOWN:, RIGHT:][inside], moved[:-DOWN, :-RIGHT][inside]
    assert np.ptp(there) > 0.2
    assert np.abs(there - here).mean() < 0.02


def test_a_blank_wall_stays_blank(look, colors):
    painted = look(np.full((HEIGHT, WIDTH, 3), 0.5, np.float32), colors)
    assert np.ptp(painted, axis=(0, 1)).max() < 1e-3


@pytest.mark.parametrize("name", ["tarot", "toybook", "inkwash", "classic_oil"])
def test_greens_and_blues_become_colours_of_the_art(name, colors, wall):
    """Which has none of them."""
    painted = ART_LOOKS[name](wall[:HEIGHT, :WIDTH], colors)
    red, green, blue = painted.mean(axis=(0, 1))
    assert red > green > blue
    assert red > blue + 0.05


def test_prints_have_blue_where_a_photo_has_no_colour(colors):
    grey = np.full((HEIGHT, WIDTH, 3), 0.2, np.float32)
    red, green, blue = ART_LOOKS["ukiyoe"](grey, colors)[50, 50]
    assert blue > green > red


def test_ink_fills_shadows_and_leaves_paper(colors):
    half = np.full((HEIGHT, WIDTH, 3), 0.9, np.float32)
    half[:, WIDTH // 2 :] = 0.05
    painted = ART_LOOKS["inkline"](half, colors)
    assert painted[60, 100].max() < 0.1
    np.testing.assert_allclose(painted[60, 20], painted[20, 20], atol=1e-3)
    assert painted[60, 20].min() > 0.6
