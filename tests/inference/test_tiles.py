import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.errors import UserError
from jaxstyle.inference.bundle import Bundle
from jaxstyle.inference.engine import Stylizer
from jaxstyle.inference.settings import Settings
from jaxstyle.inference.tiles import stylize_in_tiles, tile_grid
from jaxstyle.models import build_generator

pytestmark = pytest.mark.slow


def stylizer(config, seed=0):
    """A generator with random weights everywhere: the untrained one leaves frames as they are."""
    generator = build_generator(config)
    parameters = generator.init(jax.random.key(seed), jnp.zeros((1, 64, 64, 3)))["params"]
    keys = iter(jax.random.split(jax.random.key(seed + 1), 100))
    parameters = jax.tree.map(
        lambda a: a + 0.05 * jax.random.normal(next(keys), a.shape), parameters
    )
    return Stylizer(Bundle(generator, parameters, {}))


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(("height", "width"), [(150, 301), (203, 64), (40, 50)])
def test_tiles_agree_with_the_whole(height, width):
    model = stylizer({"name": "realtime", "size": "tiny"})
    frame = noise(height, width)
    whole = np.asarray(model(frame[None]))[0]
    assert whole.std() > 20
    tiled = stylize_in_tiles(model, frame, Settings(), tile=96)
    assert np.abs(tiled.astype(int) - whole).max() <= 1


def test_the_receptive_radius_is_as_small_as_it_may_be():
    model = stylizer({"name": "realtime", "size": "tiny"})
    frame = noise(4 * 32, 4 * 32)
    # The last pixel of a cell reaches as far up and left as any.
    changed = frame.copy()
    row = 63 - model.receptive_radius
    changed[: row + 1] = 255 - changed[: row + 1]
    difference = np.asarray(model(frame[None])) != np.asarray(model(changed[None]))
    assert not difference[0, 63:].any()
    assert difference[0, 63 - 2 * 4 : 63].any()


def test_the_split_view_runs_through_the_tiles():
    model = stylizer({"name": "realtime", "size": "tiny"})
    frame = noise(64, 300)
    tiled = stylize_in_tiles(model, frame, Settings(split=0.5), tile=96)
    np.testing.assert_array_equal(tiled[:, :149], frame[:, :149])
    assert (tiled[:, 152:] != frame[:, 152:]).any()


def test_a_generator_that_sees_the_whole_frame_refuses():
    class Bright(nn.Module):
        stride = 1

        @nn.compact
        def __call__(self, x):
            return x - x.mean()

    model = Stylizer(Bundle(Bright(), {}, {}))
    with pytest.raises(UserError, match="too large for this model"):
        stylize_in_tiles(model, noise(64, 64), Settings(), tile=32)


@pytest.mark.parametrize("length", [16, 96, 100, 160, 164, 1000])
def test_the_grid_covers_every_pixel_once_from_its_inside(length):
    covered = np.zeros((length, 32), int)
    for tile in tile_grid(length, 32, tile=64, overlap=10, stride=4):
        covered[tile.kept] += 1
        rows, kept = tile.input[0], tile.kept[0]
        assert rows.start % 4 == 0
        assert rows.stop - rows.start == min(64, length)
        assert kept.start == 0 or kept.start - rows.start >= 10
        assert kept.stop == length or rows.stop - kept.stop >= 10
    assert (covered == 1).all()


def test_tiles_no_larger_than_their_overlaps_are_refused():
    with pytest.raises(ValueError, match="twice the overlap"):
        tile_grid(640, 640, tile=32, overlap=16, stride=4)
