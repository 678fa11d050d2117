import numpy as np
import pytest

from jaxstyle.painters.palette import Palette, from_lab, palette_of, repaint, to_lab


def lab_of(rgb):
    """CIE L*a*b* of sRGB in [0, 1] under D65, as the standard writes it."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    matrix = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = linear @ np.array(matrix).T / [0.9505, 1.0, 1.089]
    root = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


@pytest.fixture(scope="module")
def picture():
    """Muted colours that go together: what is moved a little can still be shown."""
    rng = np.random.default_rng(0)
    mix = np.array([[0.10, 0.06, 0.03], [0.0, 0.06, 0.04], [0.02, 0.0, 0.05]])
    image = 0.45 + rng.uniform(-1, 1, (40, 50, 3)) @ mix
    return image.astype(np.float32)


def statistics(image):
    lab = to_lab(image).reshape(-1, 3).astype(np.float64)
    return lab.mean(axis=0), np.cov(lab.T, bias=True)


def test_lab_is_that_of_the_standard_and_goes_back():
    rgb = np.random.default_rng(1).uniform(size=(16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(to_lab(rgb), lab_of(rgb), atol=0.5)
    np.testing.assert_allclose(from_lab(to_lab(rgb)), rgb, atol=5e-3)


def test_what_no_screen_can_show_is_clipped():
    found = from_lab(np.float32([[[50, 120, -120], [100, 0, 0], [120, 0, 0]]]))
    assert found.min() >= 0
    assert found.max() <= 1
    np.testing.assert_allclose(found[0, 2], 1)


def test_the_palette_is_the_mean_and_covariance_of_images_of_the_same_weight():
    rng = np.random.default_rng(2)
    images = [rng.integers(0, 256, (*size, 3), np.uint8) for size in ((8, 9), (30, 20))]
    found = palette_of(images)
    colours = [to_lab(image.astype(np.float32) / 255).reshape(-1, 3) for image in images]
    # As if the smaller image were there so often that it has as many pixels as the other.
    weights = np.concatenate([np.full(len(c), 1 / len(c)) for c in colours])
    everything = np.concatenate(colours).astype(np.float64)
    np.testing.assert_allclose(found.mean, np.average(everything, axis=0, weights=weights))
    expected = np.cov(everything.T, aweights=weights, bias=True)
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-6)


def test_all_the_way_the_colours_are_those_of_the_target(picture):
    source = Palette(*statistics(picture))
    spread = np.array([[70.0, 8.0, -5.0], [8.0, 30.0, 4.0], [-5.0, 4.0, 25.0]])
    target = Palette(np.array([55.0, 6.0, 10.0]), spread)
    mean, covariance = statistics(repaint(picture, source, target, 1.0))
    np.testing.assert_allclose(mean, target.mean, atol=0.1)
    np.testing.assert_allclose(covariance, target.covariance, atol=0.5)


def test_of_all_maps_it_is_the_one_that_moves_colours_least(picture):
    """An affine map is optimal transport if its matrix is symmetric and positive (Brenier)."""
    source = Palette(*statistics(picture))
    turned = np.array([[30.0, 20.0, 0.0], [20.0, 60.0, 5.0], [0.0, 5.0, 15.0]])
    painted = repaint(picture, source, Palette(source.mean, turned), 1.0)
    before, after = (to_lab(image).reshape(-1, 3) - source.mean for image in (picture, painted))
    matrix = np.linalg.lstsq(before, after, rcond=None)[0]
    np.testing.assert_allclose(matrix, matrix.T, atol=0.02)
    assert np.linalg.eigvalsh(matrix).min() > 0


def test_the_amount_is_how_far(picture):
    source = Palette(*statistics(picture))
    target = Palette(source.mean + np.array([8.0, 5.0, -6.0]), 1.5 * source.covariance)
    none, half, full = (repaint(picture, source, target, amount) for amount in (0.0, 0.5, 1.0))
    np.testing.assert_allclose(none, picture, atol=5e-3)
    assert none.dtype == np.float32
    between = (to_lab(picture) + to_lab(full)) / 2
    np.testing.assert_allclose(to_lab(half), between, atol=0.5)


def test_a_darker_picture_of_the_set_stays_the_darker(picture):
    sources = [(255 * image).astype(np.uint8) for image in (picture, 0.6 * picture)]
    target = palette_of([255 - sources[0]])
    day, night = (
        repaint(image.astype(np.float32) / 255, palette_of(sources), target, 1.0)
        for image in sources
    )
    assert day.mean() > night.mean() + 0.05


def test_colours_of_one_kind_can_be_moved():
    """A set of grey pictures has no spread of a* and b*."""
    grey = np.repeat(np.linspace(30, 220, 64, dtype=np.uint8).reshape(8, 8, 1), 3, axis=-1)
    colourful = np.random.default_rng(3).integers(0, 256, (8, 8, 3), np.uint8)
    palettes = palette_of([grey]), palette_of([colourful])
    image = grey.astype(np.float32) / 255
    for source, target in (palettes, palettes[::-1]):
        painted = repaint(image, source, target, 1.0)
        assert np.isfinite(painted).all()
        assert painted.min() >= 0
        assert painted.max() <= 1
