import pickle

import jax
import numpy as np
import pytest

from jaxstyle.data.loader import make_loader
from jaxstyle.errors import UserError
from jaxstyle.guides import teacher
from jaxstyle.guides.painters.matching import matched, statistics_of
from jaxstyle.guides.teacher import painted, taught
from jaxstyle.inference.bundle import save_bundle
from jaxstyle.media.images import read_image
from jaxstyle.models import build_generator
from jaxstyle.models.examples import init_parameters

pytestmark = pytest.mark.slow

TINY = {"name": "realtime", "size": "tiny", "dtype": "float32"}


def write_bundle(path, config):
    generator = build_generator(config)
    parameters = init_parameters(generator, jax.random.key(0), 64)
    # Noise, so that no layer is at its first value, which may be the identity.
    rng = np.random.default_rng(0)
    parameters = jax.tree.map(
        lambda a: np.asarray(a) + rng.normal(0, 0.1, a.shape).astype(np.float32), parameters
    )
    save_bundle(path, parameters, {"generator": config, "name": "teacher"})
    return generator, parameters


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("teacher") / "model.safetensors"
    return path, *write_bundle(path, TINY)


def images(count, seed=0, size=(32, 48)):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (*size, 3), np.uint8) for _ in range(count)]


def result(generator, parameters, frame, *condition):
    output = generator.apply(
        {"params": parameters}, frame[None] / np.float32(127.5) - 1, *condition
    )
    return (np.clip(np.asarray(output[0]), -1, 1) + 1) * 127.5


def test_results_are_those_of_the_generator(tmp_path, bundle):
    path, generator, parameters = bundle
    frames = [*images(2), *images(1, seed=1, size=(40, 33))]
    found = taught(frames, path, None, tmp_path)
    assert len(found) == 3
    for frame, image in zip(frames, found, strict=True):
        assert image.dtype == np.uint8
        assert image.shape == frame.shape
    for frame, image in zip(frames[:2], found, strict=False):
        assert np.abs(result(generator, parameters, frame) - image).max() <= 0.6
        assert np.abs(image.astype(int) - frame).mean() > 2
    for a, b in zip(pickle.loads(pickle.dumps(found)), found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_results_pair_with_their_content(tmp_path, bundle):
    path, *_ = bundle
    frames = images(3)
    loader = make_loader(
        frames,
        taught(frames, path, None, tmp_path),
        batch_size=2,
        image_size=16,
        seed=0,
        paired=True,
    )
    assert next(loader)["style"].shape == (2, 16, 16, 3)
    loader.close()


def test_what_is_there_is_not_computed_again(tmp_path, bundle, monkeypatch):
    path, *_ = bundle
    frames = images(4)
    computed = []
    step = teacher.Stylizer.step

    def counted(self, state, frames, settings):
        computed.append(frames)
        return step(self, state, frames, settings)

    monkeypatch.setattr(teacher.Stylizer, "step", counted)
    first = taught([*frames[:2], frames[0]], path, None, tmp_path)
    assert len(computed) == 2, "a frame that occurs twice is computed once"
    assert first.paths[0] == first.paths[2]
    written = first.paths[0].stat().st_mtime_ns
    both = taught(frames[::-1], path, None, tmp_path)
    assert len(computed) == 4
    assert both.paths[3] == first.paths[0]
    assert first.paths[0].stat().st_mtime_ns == written


def test_a_run_that_is_cut_off_keeps_what_it_has(tmp_path, bundle):
    class Broken(list):
        def __getitem__(self, i):
            if i == 3:
                raise UserError("frame 3 cannot be decoded")
            return super().__getitem__(i)

    path, *_ = bundle
    with pytest.raises(UserError, match="frame 3"):
        taught(Broken(images(5)), path, None, tmp_path)
    (folder,) = (tmp_path / "teacher").iterdir()
    files = list(folder.iterdir())
    assert len(files) == 3
    for file in files:
        assert read_image(file).shape == (32, 48, 3)


def test_each_style_has_results_of_its_own(tmp_path):
    config = TINY | {"styles": 2}
    path = tmp_path / "several.safetensors"
    generator, parameters = write_bundle(path, config)
    frames = images(1)
    one, other = (taught(frames, path, None, tmp_path, style=style) for style in (0, 1))
    assert len(list((tmp_path / "teacher").iterdir())) == 2
    for found, condition in zip((one, other), np.eye(2, dtype=np.float32), strict=True):
        expected = result(generator, parameters, frames[0], condition[None])
        assert np.abs(expected - found[0]).max() <= 0.6
    assert np.abs(one[0].astype(int) - other[0]).mean() > 1
    with pytest.raises(UserError, match="has 2 styles, counted from 0; no 2"):
        taught(frames, path, None, tmp_path, style=2)


def test_style_images_tell_results_apart(tmp_path, bundle, monkeypatch):
    class Painter:
        """Paints the frame in the mean colour of the style image."""

        def __init__(self, bundle, style_images):
            self.styles = style_images

        def step(self, state, frames, settings):
            color = self.styles[settings.style].mean(axis=(0, 1)).astype(np.uint8)
            return state, np.broadcast_to(color, frames.shape)

    monkeypatch.setattr(teacher, "Stylizer", Painter)
    path, *_ = bundle
    red, blue = (np.full((8, 8, 3), color, np.uint8) for color in ((255, 0, 0), (0, 0, 255)))
    for style_images, style, expected in (
        ([red], 0, red),
        ([blue], 0, blue),
        ([blue, red], 1, red),
    ):
        (found,) = taught(images(1), path, style_images, tmp_path, style=style)
        assert (found == expected[0, 0]).all()
    assert len(list((tmp_path / "teacher").iterdir())) == 3


def test_a_teacher_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match="no model at"):
        taught(images(1), tmp_path / "none.safetensors", None, tmp_path)


def test_a_painters_results_are_kept_by_what_they_depend_on(tmp_path, monkeypatch):
    calls = []

    def half(image):
        calls.append(image.dtype)
        return image / 2

    monkeypatch.setattr("jaxstyle.guides.painters.PAINTERS", {"half": half, "other": half})
    frames = images(2)
    found = painted([*frames, frames[0]], "half", tmp_path)
    assert calls == [np.float32, np.float32], "a frame that occurs twice is painted once"
    for frame, image in zip(frames, found, strict=False):
        assert np.abs(image - frame / 2).max() <= 0.5
    assert painted(frames, "half", tmp_path).paths == found.paths[:2]
    assert len(calls) == 2
    painted(frames[:1], "other", tmp_path)
    assert len(calls) == 3
    # What a painter paints has changed.
    monkeypatch.setattr("jaxstyle.guides.painters.VERSION", -1)
    painted(frames[:1], "half", tmp_path)
    assert len(calls) == 4


def test_what_is_matched_to_art_is_kept_by_all_that_it_depends_on(tmp_path, monkeypatch):
    """So what was made of other content, art or amounts is not taken for it."""
    monkeypatch.setattr("jaxstyle.guides.painters.PAINTERS", {"half": lambda image: image / 2})
    frames, art = images(2), images(2, seed=1)

    def path(content=frames, **settings):
        return painted(content, "half", tmp_path, **{"art": art} | settings).paths[0]

    first = path()
    different = [
        path(art=()),
        path(art=art[:1]),
        path(colours=0.5),
        path(contrasts=0.5),
        # The same frame, in a set of other colours.
        path(content=frames[:1]),
    ]
    assert len({first, *different}) == 6
    assert path(art=list(art), colours=1.0, contrasts=1.0) == first


def test_what_is_matched_to_art_goes_by_the_sets_and_not_by_each_frame(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxstyle.guides.painters.PAINTERS", {"half": lambda image: image / 2})
    frames = [images(1, size=(40, 50))[0] // k for k in (1, 2)]
    art = [200 + images(1, seed=1, size=(40, 50))[0] // 8]
    plain = painted(frames, "half", tmp_path)
    found = painted(frames, "half", tmp_path, art=art, contrasts=0.0)
    sets = statistics_of(plain), statistics_of(art)
    for image, moved in zip(plain, found, strict=True):
        as_float = image.astype(np.float32) / 255
        expected = matched(as_float, *sets, colours=1.0, contrasts=0.0)
        assert np.abs(moved - 255 * expected).max() <= 0.5 + 1e-3
        assert moved.mean() > image.mean() + 50
    for a, b in zip(pickle.loads(pickle.dumps(found)), found, strict=True):
        np.testing.assert_array_equal(a, b)
