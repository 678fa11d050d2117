import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.errors import UserError
from jaxstyle.inference.bundle import Bundle
from jaxstyle.inference.engine import Stylizer, initial_state, stylize
from jaxstyle.inference.settings import Settings
from jaxstyle.inference.styles import Style, conditions_of, style_names, styles_of
from jaxstyle.models import build_generator
from jaxstyle.models.examples import init_parameters
from jaxstyle.realtime.scheduler import Scheduler

pytestmark = pytest.mark.slow


class Shift(nn.Module):
    """x + shift: a plain generator."""

    stride = 4

    @nn.compact
    def __call__(self, x):
        return x + self.param("shift", nn.initializers.zeros, ())


class Shades(nn.Module):
    """x + the weighted sum of a shade for each of three styles."""

    styles: int = 3
    dtype: jnp.dtype = jnp.float32
    stride = 4
    condition = "styles"

    @nn.compact
    def __call__(self, x, condition):
        assert condition.dtype == jnp.float32
        shades = self.param("shades", nn.initializers.zeros, (self.styles,))
        return x + (condition @ shades).reshape(-1, 1, 1, 1)


class Tinted(nn.Module):
    """The mean colour of the style image, times a gain."""

    stride = 4
    condition = "image"

    def setup(self):
        self.gain = self.param("gain", nn.initializers.ones, ())

    def encode_style(self, x):
        assert min(x.shape[1:3]) <= 512
        assert x.shape[1] % 4 == x.shape[2] % 4 == 0
        return {"colour": x.mean(axis=(1, 2))}

    def __call__(self, x, condition):
        return self.gain * condition["colour"].reshape(-1, 1, 1, 3) + 0.0 * x


class Noise(nn.Module):
    takes = "noise"
    latent = 4
    image_size = 8


SHADES = Bundle(
    Shades(), {"shades": jnp.float32([-0.4, 0.0, 0.4])}, {"name": "s", "styles": ["a", "b", "c"]}
)
TINTED = Bundle(Tinted(), {"gain": jnp.float32(1)}, {"name": "any"})
PLAIN = Bundle(Shift(), {"shift": jnp.float32(0.2)}, {"name": "plain"})
RED, BLUE = (np.full((90, 70, 3), colour, np.uint8) for colour in ((200, 0, 0), (0, 0, 200)))


def noise(height=20, width=24, seed=0):
    return np.random.default_rng(seed).integers(60, 190, (height, width, 3), np.uint8)


def show(stylizer, frame, **settings):
    _, result = stylizer.step(initial_state(*frame.shape[:2]), frame[None], Settings(**settings))
    return np.asarray(result)[0].astype(float)


@pytest.fixture
def compilations():
    events = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: events.append(event) if "compile" in event else None
    )
    yield events
    jax.monitoring.clear_event_listeners()


def test_each_bundle_gives_its_styles_and_they_have_names_of_their_own():
    bundles = [PLAIN, SHADES, TINTED, PLAIN]
    assert styles_of(bundles, 2) == [
        Style(0, 0),
        *(Style(1, i) for i in range(3)),
        *(Style(2, i) for i in range(2)),
        Style(3, 0),
    ]
    names = style_names(bundles, ["red", "a"])
    assert names == ["plain", "a", "b", "c", "red", "a (2)", "plain (2)"]
    unnamed = Bundle(SHADES.generator, SHADES.parameters, {"name": "s"})
    assert style_names([unnamed]) == ["s 1", "s 2", "s 3"]


@pytest.mark.parametrize(
    ("bundles", "images", "message"),
    [
        ([PLAIN, TINTED], [], "any takes its style from an image; give one with --style=IMAGE"),
        ([PLAIN, SHADES], [RED], "no model here takes a style image"),
        ([Bundle(Noise(), {}, {"name": "faces"})], [], "faces makes pictures from noise"),
    ],
)
def test_bundles_and_style_images_that_do_not_go_together(bundles, images, message):
    with pytest.raises(UserError, match=message):
        Stylizer(bundles, style_images=images)


def test_styles_of_a_bundle_are_mixed_inside_it_without_compiling(compilations):
    stylizer = Stylizer(SHADES)
    frame = noise()
    np.testing.assert_allclose(show(stylizer, frame), frame - 51.0, atol=0.51)
    compilations.clear()
    expected = [
        ({"style": 1}, 0.0),
        ({"style": 2}, 51.0),
        ({"style": 0, "mix": 0.5}, -25.5),
        ({"style": 2, "mix": 0.25}, 0.75 * 51 - 0.25 * 51),
        ({"weights": (0.25, 0.25, 0.5)}, 0.5 * 51 - 0.25 * 51),
        ({"weights": (0.0, 0.0, 1.0), "style": 1, "mix": 0.3}, 51.0),
        ({"weights": (0.0, 0.5, 0.5), "strength": 0.5}, 0.25 * 51),
    ]
    for settings, shift in expected:
        np.testing.assert_allclose(show(stylizer, frame, **settings), frame + shift, atol=0.51)
    assert not compilations


def test_styles_of_two_bundles_are_mixed_by_their_outputs():
    stylizer = Stylizer([SHADES, PLAIN])
    frame = noise()
    mixed = show(stylizer, frame, style=2, mix=0.5)
    np.testing.assert_allclose(mixed, frame + 0.5 * 51 + 0.5 * 25.5, atol=0.51)
    # After the last comes the first, in the other bundle.
    mixed = show(stylizer, frame, style=3, mix=0.5)
    np.testing.assert_allclose(mixed, frame + 0.5 * 25.5 - 0.5 * 51, atol=0.51)
    with pytest.raises(ValueError, match="styles of 2 bundles"):
        show(stylizer, frame, weights=(0.5, 0.0, 0.0, 0.5))


def test_a_style_image_of_any_size_is_a_style():
    half = np.concatenate([RED[:, :35], BLUE[:, :35]], axis=1)
    sizes = [RED, np.tile(BLUE, (9, 13, 1)), half[:3, 33:38]]
    stylizer = Stylizer(TINTED, style_images=sizes)
    frame = noise()
    for settings, colour in [
        ({"style": 0}, (200, 0, 0)),
        ({"style": 1}, (0, 0, 200)),
        ({"style": 0, "mix": 0.25}, (150, 0, 50)),
        ({"weights": (0.5, 0.5, 0.0)}, (100, 0, 100)),
    ]:
        shown = show(stylizer, frame, **settings)
        np.testing.assert_allclose(shown, np.broadcast_to(colour, shown.shape), atol=0.51)
    # Enlarging a tiny image has its edge overshoot a little.
    np.testing.assert_allclose(show(stylizer, frame, style=2).mean((0, 1)), (80, 0, 120), atol=8)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1, 2000), (64, 2048)),
        ((9000, 2), (2048, 64)),
        ((600, 6000), (204, 2048)),
        ((1024, 2048), (512, 1024)),
        ((3, 5), (64, 108)),
        ((100, 200), (100, 200)),
    ],
)
def test_style_images_are_encoded_at_bounded_sizes(size, expected):
    sizes = []

    class Recording(Tinted):
        def encode_style(self, x):
            sizes.append(x.shape[1:3])
            return super().encode_style(x)

    bundle = Bundle(Recording(), {"gain": jnp.float32(1)}, {})
    conditions_of(bundle, [np.zeros((*size, 3), np.uint8)])
    assert sizes == [expected]


def test_no_style_compiles_anything_once_all_is_prepared(compilations):
    live = Scheduler(Stylizer([SHADES, TINTED], style_images=[RED, BLUE]), live=True)
    frame = noise(48, 64)
    live.start([frame], Settings()).pictures()
    live._preparation.join(60)
    compilations.clear()
    for style in range(5):
        for mix in (0.0, 0.4):
            live.start([frame], Settings(style=style, mix=mix)).pictures()
    for weights in ((0.3, 0.3, 0.4, 0.0, 0.0), (0.0, 0.0, 0.0, 0.9, 0.1)):
        live.start([frame], Settings(weights=weights)).pictures()
    assert not compilations
    live.close()


@pytest.mark.parametrize("batch", [1, 3])
def test_each_frame_has_a_strength_of_its_own(batch):
    film = Scheduler(Stylizer(PLAIN), batch=batch)
    frame = np.full((8, 8, 3), 100, np.uint8)
    strengths = [0.0, 0.4, 1.0, 0.2]
    shown = []
    for i in range(0, 4, batch):
        part = strengths[i : i + batch]
        job = film.start([frame] * len(part), Settings(), part)
        shown += [rgb.mean() for rgb in job.pictures()]
    np.testing.assert_allclose(shown, 100 + 25.5 * np.array(strengths), atol=0.51)


def test_the_pure_function_takes_the_condition_as_well():
    frame = noise()[None]
    condition = jnp.float32([[0.5, 0.0, 0.5]])
    result = stylize(Shades(), SHADES.parameters, frame, jnp.float32(1), condition)
    np.testing.assert_array_equal(result, frame)


def test_a_published_arbitrary_style_architecture_is_stylized_by_its_own_encoding():
    """The engine's answer, and the one by hand, for images at sizes that need no resizing."""
    generator = build_generator({"name": "microast"})
    shapes = jax.eval_shape(lambda key: init_parameters(generator, key, 64), jax.random.key(0))
    rng = np.random.default_rng(0)
    parameters = jax.tree.map(lambda s: rng.normal(0, 0.1, s.shape).astype(np.float32), shapes)
    style, frame = noise(64, 80, seed=1), noise(32, 48, seed=2)
    stylizer = Stylizer(Bundle(generator, parameters, {}), style_images=[style])

    @jax.jit
    def by_hand(style, x):
        condition = generator.apply({"params": parameters}, style, method="encode_style")
        return generator.apply({"params": parameters}, x, condition)

    to_float = [image[None].astype(np.float32) / np.float32(127.5) - 1 for image in (style, frame)]
    expected = (np.clip(np.asarray(by_hand(*to_float))[0], -1, 1) + 1) * 127.5
    np.testing.assert_allclose(show(stylizer, frame), expected, atol=0.6)
