import dataclasses

import cv2
import numpy as np
import pytest

from jaxstyle.guides.painters.matching import from_lab, matched, statistics_of, to_lab


def lab_of(rgb):
    """CIE L*a*b* of sRGB in [0, 1] under D65, as the standard writes it."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    matrix = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = linear @ np.array(matrix).T / [0.9505, 1.0, 1.089]
    root = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def test_lab_is_that_of_the_standard_and_goes_back():
    rgb = np.random.default_rng(1).uniform(size=(16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(to_lab(rgb), lab_of(rgb), atol=0.5)
    np.testing.assert_allclose(from_lab(to_lab(rgb)), rgb, atol=5e-3)


def test_what_no_screen_can_show_is_clipped():
    found = from_lab(np.float32([[[50, 120, -120], [100, 0, 0], [120, 0, 0]]]))
    assert found.min() >= 0
    assert found.max() <= 1
    np.testing.assert_allclose(found[0, 2], 1)


# ---- Sets of pictures ----------------------------------------------------------------------------


def textures(seed, *, fine, coarse, tint=(0.0, 0.0, 0.0), size=(120, 130)):
    """Two muted pictures, uint8: what is moved a little can still be shown.

    fine, coarse: the standard deviations of cells of 2 and of 20 pixels.
    """
    rng = np.random.default_rng(seed)
    mix = np.float32([[1, 0.8, 0.7], [0.2, 0, 0], [0, 0.1, 0.3]])
    pictures = []
    for _ in range(2):
        image = np.full((*size, 3), 0.45, np.float32) + np.float32(tint)
        for cell, strength in ((2, fine), (20, coarse)):
            cells = rng.normal(size=(size[0] // cell + 2, size[1] // cell + 2, 3))
            cells = cells.astype(np.float32) @ mix
            image += strength * cv2.resize(cells, size[::-1], interpolation=cv2.INTER_CUBIC)
        pictures.append(np.rint(255 * image.clip(0, 1)).astype(np.uint8))
    return pictures


def as_floats(pictures):
    return [picture.astype(np.float32) / 255 for picture in pictures]


def bands_of(lab):
    """Differences of blurs, each of the one before, by 1, 2, 4 and 8 pixels; and the last blur."""
    bands = []
    for sigma in (1, 2, 4, 8):
        blurred = cv2.GaussianBlur(lab, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
        bands.append(lab - blurred)
        lab = blurred
    return bands, lab


@pytest.fixture(scope="module")
def ours():
    return textures(0, fine=0.02, coarse=0.05)


@pytest.fixture(scope="module")
def source(ours):
    return statistics_of(ours)


@pytest.fixture(scope="module")
def target():
    return statistics_of(textures(1, fine=0.03, coarse=0.07, tint=(0.06, 0.0, -0.05)))


def test_a_set_is_counted_pixel_by_pixel():
    """Of two flat pictures the larger counts for more, and neither has a contrast."""
    small, large = np.full((14, 10, 3), 60, np.uint8), np.full((28, 20, 3), 180, np.uint8)
    large[..., 0] = 120
    found = statistics_of([small, large])
    one, other = (lab_of(np.array(c) / 255) for c in ((60, 60, 60), (120, 180, 180)))
    np.testing.assert_allclose(found.mean, 0.2 * one + 0.8 * other, atol=0.3)
    apart = other - one
    np.testing.assert_allclose(found.covariance, 0.16 * np.outer(apart, apart), rtol=0.03, atol=0.5)
    np.testing.assert_allclose(found.contrasts, 0, atol=1e-3)


def test_the_contrasts_of_a_set_are_how_strong_its_bands_are(ours, source):
    bands_of_each = [bands_of(to_lab(image))[0] for image in as_floats(ours)]
    for contrasts, band in zip(source.contrasts, np.stack(bands_of_each, axis=1), strict=True):
        strengths = np.abs(band).reshape(-1, 3)
        # Ranks go up in steps of 0.05 to 0.9, and then on to 1: of the pixels that are counted.
        np.testing.assert_allclose(contrasts[:, 10], np.median(strengths, axis=0), rtol=0.1)
        assert (np.diff(contrasts, axis=1) >= 0).all()
        np.testing.assert_allclose(contrasts[:, -1], strengths.max(axis=0), rtol=0.25)


# ---- What a picture is moved to ------------------------------------------------------------------


def test_not_at_all_it_is_the_picture(ours, source, target):
    """So bands and rest make up the picture again."""
    for image in as_floats(ours):
        found = matched(image, source, target, colours=0.0, contrasts=0.0)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, image, atol=5e-3)


def test_it_is_the_picture_also_where_the_other_set_is_the_same(ours, source):
    for image in as_floats(ours):
        found = matched(image, source, source, colours=1.0, contrasts=1.0)
        # Beyond the strongest contrasts that were counted, there is no curve.
        assert np.quantile(np.abs(found - image), 0.999) < 5e-3


def rests(ours, source, target, colours):
    """What is left of all pictures without detail, before and after: [N, 3] each."""
    before, after = [], []
    for image in as_floats(ours):
        lab = to_lab(image)
        found = to_lab(matched(image, source, target, colours=colours, contrasts=0.0))
        bands, rest = bands_of(lab)
        before.append(rest.reshape(-1, 3))
        # Details are as they were.
        after.append((found - sum(bands)).reshape(-1, 3))
    return np.concatenate(before).astype(np.float64), np.concatenate(after).astype(np.float64)


def test_all_the_way_the_colours_are_those_of_the_target(ours, source, target):
    _, moved = rests(ours, source, target, 1.0)
    np.testing.assert_allclose(moved.mean(axis=0), target.mean, atol=0.2)
    assert np.abs(source.mean - target.mean).max() > 5
    np.testing.assert_allclose(np.cov(moved.T), target.covariance, rtol=0.05, atol=0.2)
    assert target.covariance[0, 0] > 1.5 * source.covariance[0, 0]


def test_of_all_maps_it_is_the_one_that_moves_colours_least(ours, source):
    """An affine map is optimal transport if its matrix is symmetric and positive (Brenier)."""
    turned = np.array([[8.0, 4.0, 0.0], [4.0, 6.0, 1.0], [0.0, 1.0, 3.0]])
    target = dataclasses.replace(source, covariance=turned)
    before, after = (rest - source.mean for rest in rests(ours, source, target, 1.0))
    matrix = np.linalg.lstsq(before, after, rcond=None)[0]
    np.testing.assert_allclose(matrix, matrix.T, atol=0.03)
    assert np.linalg.eigvalsh(matrix).min() > 0
    np.testing.assert_allclose(np.cov(after.T), turned, atol=0.3)


def test_the_amount_is_how_far(ours, source, target):
    image = as_floats(ours)[0]
    for name in ("colours", "contrasts"):
        none, half, full = (
            to_lab(matched(image, source, target, **{"colours": 0, "contrasts": 0, name: amount}))
            for amount in (0.0, 0.5, 1.0)
        )
        all_the_way = np.abs(full - none).mean()
        assert all_the_way > 0.3
        assert np.abs(half - (none + full) / 2).mean() < 0.2 * all_the_way


@pytest.mark.parametrize("band", range(4))
def test_all_the_way_the_contrasts_of_a_band_are_those_of_the_target(ours, source, band):
    """What is weak made weaker, what is strong stronger, in this band alone."""
    curve = np.linspace(0.5, 1.8, source.contrasts.shape[-1])
    wanted = source.contrasts.copy()
    wanted[band] *= curve
    target = dataclasses.replace(source, contrasts=wanted)
    strengths = []
    for image in as_floats(ours):
        found = to_lab(matched(image, source, target, colours=0.0, contrasts=1.0))
        lab = to_lab(image)
        strengths.append(np.abs(bands_of(lab)[0][band] + found - lab).reshape(-1, 3))
    strengths = np.concatenate(strengths)
    for rank, share in ((4, 0.2), (10, 0.5), (16, 0.8), (20, 0.96)):
        reached = np.quantile(strengths, share, axis=0)
        np.testing.assert_allclose(reached, wanted[band][:, rank], rtol=0.1, atol=0.05)


def test_what_is_next_to_nothing_is_noise_and_not_made_a_texture():
    faint, rough = (textures(2, fine=fine, coarse=0.05) for fine in (0.004, 0.1))
    image = as_floats(faint)[0]
    found = matched(image, statistics_of(faint), statistics_of(rough), colours=0.0, contrasts=1.0)
    # In the finest band the other set is 25 times as strong.
    before, after = (bands_of(to_lab(i))[0][0][..., 0].std() for i in (image, found))
    assert 2.0 < after / before < 2.6


def test_a_darker_picture_of_the_set_stays_the_darker(ours, target):
    pictures = [ours[0], (0.6 * ours[0]).astype(np.uint8)]
    both = statistics_of(pictures)
    for contrasts in (0.0, 1.0):
        day, night = (
            matched(image, both, target, colours=1.0, contrasts=contrasts)
            for image in as_floats(pictures)
        )
        assert day.mean() > night.mean() + 0.05


def test_sets_without_colours_or_contrasts_can_be_moved():
    """A set of grey pictures has no spread of a* and b*, and one of flat ones none at all."""
    grey = np.repeat(np.linspace(30, 220, 64, dtype=np.uint8).reshape(8, 8, 1), 3, axis=-1)
    flat = np.full((8, 8, 3), 90, np.uint8)
    colourful = np.random.default_rng(3).integers(0, 256, (8, 8, 3), np.uint8)
    pictures = (grey, flat, colourful)
    for one in pictures:
        for other in pictures:
            (image,) = as_floats([one])
            sets = statistics_of([one]), statistics_of([other])
            found = matched(image, *sets, colours=1.0, contrasts=1.0)
            assert np.isfinite(found).all()
            assert found.min() >= 0
            assert found.max() <= 1


def test_a_border_elsewhere_does_not_change_the_middle():
    """What is cut off a picture, by a pixel or by ten: not even which pixels are counted."""
    (image, _) = as_floats(textures(4, fine=0.02, coarse=0.05, size=(160, 170)))
    source, target = (statistics_of(textures(s, fine=0.02 * s, coarse=0.05)) for s in (1, 2))
    # The reach of blurs of 1, 2, 4 and 8 pixels, cut off at four standard deviations each.
    reach = 4 * (1 + 2 + 4 + 8)
    whole = matched(image, source, target, colours=1.0, contrasts=1.0)
    for down, right in ((1, 0), (5, 10)):
        cut = matched(image[down:, right:], source, target, colours=1.0, contrasts=1.0)
        middle = (slice(reach, -reach), slice(reach, -reach))
        np.testing.assert_allclose(cut[middle], whole[down:, right:][middle], atol=1e-4)
