import cv2
import numpy as np
import pytest

from jaxstyle.painters import PAINTERS

# One size for all: the filter of dabs compiles for each.
HEIGHT, WIDTH = 80, 84
DOWN, RIGHT = 5, 4


@pytest.fixture(scope="module")
def wall():
    """A picture of soft shapes with grain, larger than what is painted of it."""
    rng = np.random.default_rng(0)
    shapes = rng.uniform(size=(9, 9, 3)).astype(np.float32)
    size = (WIDTH + RIGHT, HEIGHT + DOWN)
    image = cv2.resize(shapes, size, interpolation=cv2.INTER_CUBIC)
    image += 0.05 * rng.standard_normal(image.shape, np.float32)
    return image.clip(0, 1)


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


def test_a_painter_leaves_its_input_and_paints_it_alike_again(painter, painted, wall):
    photo = wall[:HEIGHT, :WIDTH].copy()
    np.testing.assert_array_equal(painter(photo), painted)
    np.testing.assert_array_equal(photo, wall[:HEIGHT, :WIDTH])


def test_what_is_painted_moves_with_the_picture(painter, painted, wall):
    """What did not could not be learned by a convolutional generator, and would flicker."""
    moved = painter(wall[DOWN:, RIGHT:])
    both = painted[DOWN:, RIGHT:], moved[:-DOWN, :-RIGHT]
    inside = (slice(26, -26), slice(26, -26))
    difference = np.abs(both[0] - both[1])[inside]
    # The mean of the surroundings reaches further, to where it is weak.
    assert difference.mean() < 0.002
    assert difference.max() < 0.05


def test_a_blank_wall_gets_no_strokes(painter):
    flat = np.broadcast_to(np.float32([0.5, 0.4, 0.35]), (HEIGHT, WIDTH, 3)).copy()
    painted = painter(flat)
    assert np.ptp(painted, axis=(0, 1)).max() < 1e-4


@pytest.mark.parametrize(
    ("name", "dark", "light"),
    [("starry", "blue", "yellow"), ("woodblock", "blue", "yellow"), ("cel", "grey", "grey")],
)
def test_tones_take_the_pigments_of_the_look(name, dark, light):
    for tone, expected in ((0.03, dark), (0.97, light)):
        painted = PAINTERS[name](np.full((HEIGHT, WIDTH, 3), tone, np.float32))
        red, green, blue = painted[40, 40].tolist()
        match expected:
            case "blue":
                assert blue > green > red
            case "yellow":
                assert min(red, green) > blue + 0.05
            case "grey":
                np.testing.assert_allclose([red, green, blue], green, atol=0.01)
        assert (painted.mean() > 0.5) == (tone > 0.5)
