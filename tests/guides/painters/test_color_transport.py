import cv2
import numpy as np
import pytest

from jaxstyle.guides.painters.color_transport import ArtColors, art_colors
from jaxstyle.guides.painters.matching import from_lab


def pictures_of(lab):
    """Two uint8 pictures of the L*a*b* colours [N, 3], as far as bytes can hold them."""
    colors = from_lab(np.float32(lab)[None])
    return [np.rint(255 * np.repeat(colors, 40, axis=0)).astype(np.uint8)] * 2


def greys(least, most):
    lightness = np.linspace(least, most, 500)
    return np.stack([lightness, 0 * lightness, 0 * lightness], axis=-1)


@pytest.fixture(scope="module")
def darkened():
    """Greys from black to white go to dark ones."""
    return art_colors(pictures_of(greys(2, 98)), pictures_of(greys(10, 50)), palette=5)


def test_lightness_goes_where_as_much_is_darker(darkened):
    """On a line the best plan is the one that keeps the order: quantiles go to quantiles."""
    lightness = np.float32([20, 35, 50, 65, 80])
    moved = darkened.moved(np.stack([lightness, 0 * lightness, 0 * lightness], axis=-1)[None])[0]
    np.testing.assert_allclose(moved[:, 0], 10 + (lightness - 2) / 96 * 40, atol=2.5)
    np.testing.assert_allclose(moved[:, 1:], 0, atol=2)


def test_the_palette_is_spread_over_the_art(darkened):
    assert darkened.palette.shape == (5, 3)
    assert darkened.palette.dtype == np.float32
    np.testing.assert_allclose(np.sort(darkened.palette[:, 0]), [14, 22, 30, 38, 46], atol=3)


def test_hues_go_to_the_nearest_of_the_art():
    rng = np.random.default_rng(0)
    spots = np.array([(60, 40, 30), (60, -35, 25)])
    photo = np.repeat(spots, 300, axis=0) + rng.normal(0, 2, (600, 3))
    # As many of each, elsewhere.
    art = photo + np.array([-10, 8, -15])
    colors = art_colors(pictures_of(photo), pictures_of(art), palette=4)
    moved = colors.moved(np.float32(spots)[None])[0]
    np.testing.assert_allclose(moved, spots + np.array([-10, 8, -15]), atol=6)


def test_the_table_is_read_trilinearly():
    """An affine map is reproduced wherever it is asked, and the ends hold beyond the table."""
    axes = np.meshgrid(
        np.linspace(0, 100, 17), *[np.linspace(-96, 96, 17)] * 2, indexing="ij", sparse=False
    )
    grid = np.stack(axes, axis=-1).astype(np.float32)
    turn = np.float32([[0.5, 0.2, 0], [0, 0.7, -0.3], [0.1, 0, 0.9]])
    colors = ArtColors(grid @ turn, np.zeros((1, 3), np.float32))
    rng = np.random.default_rng(1)
    lab = rng.uniform((0, -95, -95), (100, 95, 95), (6, 7, 3)).astype(np.float32)
    np.testing.assert_allclose(colors.moved(lab), lab @ turn, atol=0.1)
    beyond = np.float32([[[50, 120, 0], [50, 96, 0]]])
    np.testing.assert_allclose(*colors.moved(beyond)[0], atol=0.1)


def test_flat_colours_are_those_of_the_palette_with_soft_steps():
    palette = np.float32([(20, 0, 0), (80, 0, 0)])
    colors = ArtColors(np.zeros((17, 17, 17, 3), np.float32), palette)
    lab = np.zeros((1, 3, 3), np.float32)
    lab[0, :, 0] = 25, 50, 78
    flat = colors.flattened(lab, spread=100.0)
    np.testing.assert_allclose(flat[0, :, 0], [20, 50, 80], atol=0.1)
    assert flat.dtype == np.float32


def test_the_same_pictures_give_the_same_colours(darkened):
    cv2.setRNGSeed(7)
    again = art_colors(pictures_of(greys(2, 98)), pictures_of(greys(10, 50)), palette=5)
    np.testing.assert_array_equal(again.table, darkened.table)
    np.testing.assert_array_equal(again.palette, darkened.palette)


def test_a_picture_of_one_colour_will_do():
    colors = art_colors(pictures_of(greys(0, 100)), pictures_of([(40, 20, 20)]), palette=8)
    assert colors.palette.shape == (1, 3)
    moved = colors.moved(np.float32(greys(0, 100))[None])
    np.testing.assert_allclose(moved[0], np.broadcast_to((40, 20, 20), (500, 3)), atol=1)
