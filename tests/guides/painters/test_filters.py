import cv2
import numpy as np
import pytest

from jaxstyle.guides.painters import filters

INSIDE = (slice(10, -10), slice(10, -10))


def stripes(degrees, period=12, height=48, width=56):
    """Waves of grey that run along a direction, clockwise from the right, for y points down."""
    y, x = np.mgrid[0:height, 0:width]
    angle = np.deg2rad(degrees)
    across = np.cos(angle) * y - np.sin(angle) * x
    wave = 0.5 + 0.4 * np.sin(2 * np.pi * across / period)
    return np.repeat(wave[..., None], 3, axis=-1).astype(np.float32)


def noise(shape, strength):
    return np.random.default_rng(0).normal(0, strength, shape).astype(np.float32)


@pytest.mark.parametrize("degrees", [0, 30, 80, 100, 135])
def test_the_orientation_of_stripes_is_along_them(degrees):
    flow = filters.orientation(stripes(degrees))
    angle = np.deg2rad(degrees)
    along = np.abs(flow.x * np.cos(angle) + flow.y * np.sin(angle))
    assert along[INSIDE].min() > 0.999
    assert flow.anisotropy[INSIDE].min() > 0.99
    assert all(part.shape == (48, 56) and part.dtype == np.float32 for part in flow)


@pytest.mark.parametrize("vertical", [True, False])
def test_the_orientation_of_a_straight_edge_is_along_it(vertical):
    """Exactly upright or level, with no slant that rounding could take a direction from."""
    image = np.full((40, 40, 3), 0.2, np.float32)
    image[:, 20:] = 0.7
    flow = filters.orientation(image if vertical else image.transpose(1, 0, 2).copy())
    along, across = (flow.y, flow.x) if vertical else (flow.x.T, flow.y.T)
    beside = (slice(10, -10), slice(16, 24))
    np.testing.assert_allclose(np.abs(along[beside]), 1, atol=1e-6)
    np.testing.assert_allclose(across[beside], 0, atol=1e-6)
    np.testing.assert_allclose(
        (flow.anisotropy if vertical else flow.anisotropy.T)[beside], 1, atol=1e-6
    )


def test_where_nothing_runs_there_is_a_direction_of_no_weight():
    flow = filters.orientation(np.full((20, 24, 3), 0.4, np.float32))
    np.testing.assert_array_equal(flow.anisotropy, 0)
    np.testing.assert_array_equal(np.hypot(flow.x, flow.y), 1)
    grain = filters.orientation(0.5 + noise((48, 56, 3), 0.1), sigma=6.0)
    assert grain.anisotropy.mean() < 0.3


def test_flat_regions_have_one_colour_each_and_crisp_borders():
    clean = np.full((32, 40, 3), 0.25, np.float32)
    clean[:, 20:] = 0.75
    flat = filters.flat_regions(clean + noise(clean.shape, 0.02), smoothness=0.02)
    for half in (flat[2:-2, 2:18], flat[2:-2, 22:38]):
        assert np.ptp(half, axis=(0, 1)).max() < 0.01
    np.testing.assert_allclose(flat[16, [18, 21]], clean[16, [18, 21]], atol=0.02)


def test_flat_regions_leave_what_is_worth_its_step():
    """And take what is not: thin lines of a contrast whose square is below the smoothness."""
    image = np.full((32, 40, 3), 0.5, np.float32)
    image[:, 10:12] = 0.56
    image[:, 28:30] = 1.0
    flat = filters.flat_regions(image, smoothness=0.02)
    assert abs(flat[16, 10, 0] - flat[16, 20, 0]) < 0.01
    assert flat[16, 28, 0] > 0.9


def test_bilateral_smooths_texture_and_keeps_an_edge():
    clean = np.full((32, 40, 3), 0.25, np.float32)
    clean[:, 20:] = 0.75
    once, often = (
        filters.bilateral(clean + noise(clean.shape, 0.02), times=times) for times in (1, 4)
    )
    left = (slice(4, -4), slice(4, 20))
    assert often[left].std() < once[left].std() < 0.01
    assert np.abs(often - clean).max() < 0.03


def test_smoothing_along_stripes_keeps_them_and_blurs_noise():
    clean = stripes(30)
    flow = filters.orientation(clean)
    grain = noise(clean.shape, 0.1)
    smooth = filters.smooth_along(clean, flow, sigma=4.0)
    assert np.abs(smooth - clean)[INSIDE].max() < 0.06
    left = filters.smooth_along(clean + grain, flow, sigma=4.0) - smooth
    # Nine pixels' worth of independent noise and more, along each path.
    assert left[INSIDE].std() < 0.1 / 3
    np.testing.assert_allclose(
        filters.smooth_along(clean[..., 0], flow, sigma=4.0), smooth[..., 0], atol=1e-6
    )


def test_smoothing_is_a_weighted_mean_of_a_straight_path():
    """Where the flow goes right everywhere, a row is blurred by the Gaussian's weights."""
    row = np.random.default_rng(1).uniform(size=41).astype(np.float32)
    image = np.repeat(row[None], 9, axis=0)
    flow = filters.Orientation(np.ones_like(image), np.zeros_like(image), np.ones_like(image))
    weights = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 2.0**2))
    expected = np.convolve(row, weights / weights.sum(), mode="valid")
    found = filters.smooth_along(image, flow, sigma=2.0, length=5)
    np.testing.assert_allclose(found[4, 5:-5], expected, atol=1e-5)


def test_a_path_does_not_turn_back_where_a_direction_changes_its_sign():
    """A direction and its opposite are the same."""
    image = np.random.default_rng(2).uniform(size=(24, 24)).astype(np.float32)
    right = filters.Orientation(np.ones_like(image), np.zeros_like(image), np.ones_like(image))
    signs = np.where(np.arange(24) % 2, -1, 1).astype(np.float32)[None]
    mixed = right._replace(x=right.x * signs)
    np.testing.assert_allclose(
        filters.smooth_along(image, mixed, sigma=3.0)[:, 9:-9],
        filters.smooth_along(image, right, sigma=3.0)[:, 9:-9],
        atol=1e-6,
    )


def test_a_disc_is_outlined_and_nothing_else_is():
    size, radius, centre = 64, 18, np.array([31.3, 32.6])
    y, x = np.mgrid[0:size, 0:size]
    distance = np.hypot(y - centre[0], x - centre[1])
    disc = np.clip(radius + 0.5 - distance, 0, 1).astype(np.float32)
    image = np.repeat(disc[..., None], 3, axis=-1)
    found = filters.lines(image, sigma=1.2, tau=0.985, threshold=-0.009, sharpness=110)
    assert found.shape == (size, size)
    np.testing.assert_allclose(found[np.abs(distance - radius) > 9], 1, atol=1e-6)
    angle = np.arctan2(y - centre[0], x - centre[1])
    for direction in np.linspace(-np.pi, np.pi, 36, endpoint=False):
        contour = (np.abs(angle - direction) < 0.1) & (np.abs(distance - radius) < 3)
        assert found[contour].min() < 0.1


def test_flat_tones_have_few_values_and_never_fall():
    values = np.linspace(0, 1, 601)
    flat = filters.flat_tones(values, 4, sharpness=6.0)
    assert (np.diff(flat) >= 0).all()
    np.testing.assert_allclose(flat[[0, -1]], [0, 1], atol=1e-6)
    tones = np.round(4 * flat) / 4
    # Most values are one of these tones, though they were spread evenly.
    assert np.mean(np.abs(flat - tones) < 0.01) > 0.7
    assert np.mean(np.abs(values - np.round(4 * values) / 4) < 0.01) < 0.1
    # None is more than half a step away from what it was.
    assert np.abs(flat - values).max() <= 0.5 / 4 + 1e-6


def test_the_softest_tones_are_the_values_themselves():
    values = np.linspace(0, 1, 101)
    np.testing.assert_allclose(filters.flat_tones(values, 5, sharpness=0.01), values, atol=1e-5)


# ---- Strokes along contours ----------------------------------------------------------------------

STROKES = {"sigma": 3.0, "period": 12.0, "still": 0.12}
# Two blurs of four standard deviations, and a pixel for the slope.
STROKES_REACH = 25


def hills(size=128):
    """Lightness from 20 to 80, soft."""
    values = np.random.default_rng(4).uniform(20, 80, (8, 8)).astype(np.float32)
    return cv2.resize(values, (size, size), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("slope", [0.12, 0.5, 1.0, 3.0])
def test_strokes_are_a_sine_of_the_values_weaker_where_they_hardly_rise_and_at_edges(slope):
    ramp = np.broadcast_to(slope * np.arange(480, dtype=np.float32), (40, 480)).copy()
    found = filters.contour_strokes(ramp, **STROKES)[20, 40:-40]
    strength = slope**2 / (slope**2 + STROKES["still"] ** 2) / (1 + (slope / 3) ** 4)
    expected = strength * np.sin(2 * np.pi * slope * np.arange(40, 440) / STROKES["period"])
    np.testing.assert_allclose(found, expected, atol=5e-3)


def test_where_nothing_rises_there_are_no_strokes():
    flat = np.full((40, 48), 53.7, np.float32)
    np.testing.assert_allclose(filters.contour_strokes(flat, **STROKES), 0, atol=1e-6)
    grainy = filters.contour_strokes(flat + noise(flat.shape, 0.5), **STROKES)
    assert np.abs(grainy).max() < 0.1


def test_strokes_run_along_the_contours_and_move_with_them():
    values = hills()
    found = filters.contour_strokes(values, **STROKES)
    assert np.abs(found).max() <= 1
    assert found.std() > 0.3
    moved = filters.contour_strokes(values[7:, 5:], **STROKES)[:-7, :-5]
    inside = (slice(STROKES_REACH, -STROKES_REACH), slice(STROKES_REACH, -STROKES_REACH))
    np.testing.assert_allclose(moved[inside], found[7:, 5:][:-7, :-5][inside], atol=1e-4)
    # The picture on its side has the same strokes on their side.
    turned = filters.contour_strokes(values.T.copy(), **STROKES)
    np.testing.assert_allclose(turned.T, found, atol=1e-3)


def test_strokes_hardly_tremble_with_noise():
    """That of a camera, of a hundredth of the range."""
    values = hills()
    found = filters.contour_strokes(values, **STROKES)
    trembling = filters.contour_strokes(values + noise(values.shape, 1.0), **STROKES) - found
    assert trembling.std() < 0.1 * found.std()


# ---- Kuwahara, at one size and radius: it compiles for each --------------------------------------

SIZE, RADIUS = 32, 4.0


def kuwahara(image):
    return filters.anisotropic_kuwahara(image, RADIUS)


def kuwahara_at(image, y, x):
    """The filter at a pixel away from the border, sector by sector as the papers define it."""
    flow = filters.orientation(image)
    along = np.array([flow.x[y, x], flow.y[y, x]], np.float64)
    across = np.array([-along[1], along[0]])
    stretch = 1 + 0.5 * flow.anisotropy[y, x]
    reach = int(np.ceil(1.5 * RADIUS))
    zeta = 2 / RADIUS
    eta = (zeta + np.cos(np.pi / 8)) / np.sin(np.pi / 8) ** 2
    samples = [[] for _ in range(8)]
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            u = along @ (dx, dy) / (RADIUS * stretch)
            v = across @ (dx, dy) / (RADIUS / stretch)
            on_the_board = (dx + dy) % 2 == 0 and dx * dx + dy * dy <= reach * reach
            if u * u + v * v > 1 or not on_the_board:
                continue
            sectors = []
            for k in range(8):
                # The sector's own axis points along -v, as that of the first does.
                turn = np.exp(-1j * np.pi * k / 4) * (u + 1j * v)
                sectors.append(max(0, zeta + turn.real - eta * turn.imag**2) ** 2)
            for k, share in enumerate(sectors):
                weight = share / sum(sectors) * np.exp(-3.125 * (u * u + v * v))
                samples[k].append((weight, image[y + dy, x + dx].astype(np.float64)))
    means, counts = [], []
    for sector in samples:
        weights = np.array([weight for weight, _ in sector])
        colours = np.array([colour for _, colour in sector])
        mean = weights @ colours / weights.sum()
        variance = (weights @ np.square(colours - mean)).sum() / weights.sum()
        means.append(mean)
        counts.append(1 / (1 + (255 * np.sqrt(variance)) ** 8))
    return np.array(counts) @ means / sum(counts)


def test_kuwahara_follows_its_definition():
    blocks = np.random.default_rng(3).uniform(0.1, 0.9, (6, 6, 3)).astype(np.float32)
    image = cv2.resize(blocks, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    image += noise(image.shape, 0.02)
    found = kuwahara(image)
    for y, x in ((10, 12), (16, 21), (20, 9)):
        np.testing.assert_allclose(found[y, x], kuwahara_at(image, y, x), atol=1e-3)


def test_kuwahara_leaves_what_is_flat():
    flat = np.broadcast_to(np.float32([0.2, 0.5, 0.9]), (SIZE, SIZE, 3)).copy()
    np.testing.assert_allclose(kuwahara(flat), flat, atol=1e-5)


def test_kuwahara_smooths_up_to_an_edge_and_not_across():
    clean = np.full((SIZE, SIZE, 3), 0.25, np.float32)
    clean[16:] = 0.75
    painted = kuwahara(clean + noise(clean.shape, 0.04))
    assert np.abs(painted[15] - 0.25).max() < 0.1
    assert np.abs(painted[16] - 0.75).max() < 0.1
    assert painted[4:15, 4:-4].std() < 0.04 / 2
