import functools

import cv2
import jax
import numpy as np
import pytest

from jaxstyle.data.augment import resized
from jaxstyle.errors import UserError
from jaxstyle.guides.open_guide import open_guide
from jaxstyle.guides.painters import ART_LOOKS, PAINTERS
from jaxstyle.guides.painters.color_transport import art_colors
from jaxstyle.guides.painters.matching import matched, statistics_of
from jaxstyle.inference.bundle import save_bundle
from jaxstyle.models import build_generator
from jaxstyle.models.examples import init_parameters


@pytest.fixture(scope="module")
def frames():
    rng = np.random.default_rng(0)
    return [rng.integers(60, 200, (16, 24, 3), np.uint8) for _ in range(3)]


@pytest.fixture
def painted_by(monkeypatch):
    """The pictures that a painter of nothing, `copy`, has seen."""
    seen = []

    def copy(image):
        seen.append(image)
        return image

    monkeypatch.setitem(PAINTERS, "copy", copy)
    return seen


@pytest.fixture
def paintings(tmp_path):
    """Two of reddish colours, as a folder and as arrays."""
    rng = np.random.default_rng(1)
    folder = tmp_path / "paintings"
    folder.mkdir()
    pictures = [rng.integers(0, (220, 120, 90), (20, 20, 3)).astype(np.uint8) for _ in range(2)]
    for i, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{i}.png"), picture[..., ::-1])
    return folder, pictures


def test_a_painter_by_its_name_paints_each_frame(frames, tmp_path):
    found = open_guide("painter:oil", frames, cache_dir=tmp_path)
    assert len(found) == 3
    expected = PAINTERS["oil"](frames[1].astype(np.float32) / 255)
    assert np.abs(found[1] - 255 * expected).max() <= 0.5 + 1e-3
    assert found[1].dtype == np.uint8


def test_with_art_what_it_paints_gets_the_colours_and_contrasts_of_pictures(
    frames, painted_by, paintings, tmp_path
):
    folder, pictures = paintings
    # Of the size at which styles are measured.
    sets = statistics_of(frames), statistics_of([resized(p, 256) for p in pictures])
    for more, colours, contrasts in (
        ("", 1.0, 1.0),
        ("&colours=0.25", 0.25, 1.0),
        ("&contrasts=0.5&colours=0", 0.0, 0.5),
    ):
        found = open_guide(f"painter:copy?art={folder}{more}", frames, cache_dir=tmp_path)
        assert len(found) == 3
        for frame, image in zip(frames, found, strict=True):
            as_float = frame.astype(np.float32) / 255
            expected = matched(as_float, *sets, colours=colours, contrasts=contrasts)
            assert np.abs(image - 255 * expected).max() <= 0.5 + 1e-3
    # However far it is moved, what is painted is the same.
    assert len(painted_by) == 3


@pytest.mark.slow
def test_of_much_art_some_that_is_spread_over_it_is_looked_at(
    frames, painted_by, tmp_path, monkeypatch
):
    looked_at = []

    class Art(list):
        def __getitem__(self, i):
            looked_at.append(i)
            return super().__getitem__(i)

    art = Art([np.full((256, 256, 3), 100, np.uint8)] * 500)
    monkeypatch.setattr("jaxstyle.guides.open_guide.open_source", lambda *args, **kwargs: art)
    open_guide("painter:copy?art=film.mp4", frames, cache_dir=tmp_path)
    assert len(set(looked_at)) == 64
    assert (min(looked_at), max(looked_at)) == (0, 499)


def test_some_painters_take_all_their_colours_from_art(frames, paintings, tmp_path):
    folder, pictures = paintings
    look = ART_LOOKS["inkwash"]
    colors = art_colors(frames, [resized(p, 256) for p in pictures], palette=look.palette)
    found = open_guide(f"painter:inkwash?art={folder}", frames, cache_dir=tmp_path)
    for frame, image in zip(frames, found, strict=True):
        expected = look(frame.astype(np.float32) / 255, colors)
        assert np.abs(image - 255 * expected).max() <= 0.5 + 1e-3
    # Other content has other colours, and so has other art.
    other = open_guide(f"painter:inkwash?art={folder}", frames[:1], cache_dir=tmp_path)
    assert other.paths[0] != found.paths[0]
    cv2.imwrite(str(folder / "0.png"), np.full((20, 20, 3), 200, np.uint8))
    other = open_guide(f"painter:inkwash?art={folder}", frames, cache_dir=tmp_path)
    assert not set(other.paths) & set(found.paths)


def test_what_is_painted_is_kept(frames, painted_by, paintings, tmp_path):
    folder, _ = paintings
    spec = f"painter:copy?art={folder}&colours=0.5&contrasts=1"
    first = open_guide(spec, frames, cache_dir=tmp_path)
    again = open_guide(f"painter:copy?colours=0.50&art={folder}", frames, cache_dir=tmp_path)
    assert len(painted_by) == 3
    assert again.paths == first.paths
    other = open_guide(f"painter:copy?colours=0.4&art={folder}", frames, cache_dir=tmp_path)
    assert not set(other.paths) & set(first.paths)
    # The art has changed, though not its name.
    cv2.imwrite(str(folder / "0.png"), np.full((20, 20, 3), 200, np.uint8))
    other = open_guide(spec, frames, cache_dir=tmp_path)
    assert not set(other.paths) & set(first.paths)
    plain = open_guide("painter:copy", frames, cache_dir=tmp_path)
    assert not set(plain.paths) & set(first.paths)
    assert len(painted_by) == 3


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("painter:oils", "painter:oils: no painter 'oils'; there are: cel, oil, starry, woodblock"),
        ("painter:tarot", "name the pictures that it is to look like, art=FOLDER"),
        ("painter:tarot?art=here&colours=0.5", "no option 'colours'; there are: art"),
        ("painter:oil?colour=red", "no option 'colour'; there are: art, colours, contrasts"),
        ("painter:oil?style=ink", "no option 'style'"),
        ("painter:oil?colours=0.5", "name the pictures that it is to look like, art=FOLDER"),
        ("painter:oil?art=", "name the pictures that it is to look like, art=FOLDER"),
        ("painter:oil?art=here&colours=1.5", r"colours is 1\.5; it must be a number from 0 to 1"),
        ("painter:oil?art=here&contrasts=-1", "contrasts is -1; it must be a number from 0 to 1"),
        ("painter:oil?art=here&contrasts=nan", "contrasts is nan; it must be"),
        ("painter:oil?art=here&colours=all", "colours is all; it must be"),
        ("painter:oil?art=here&contrasts", "contrasts is ; it must be"),
        ("painter:oil?art=nowhere", "nowhere: no such source"),
        ("model.safetensors?art=here", "no option 'art'; there are: style"),
        ("nowhere.safetensors", "nowhere"),
    ],
)
def test_what_is_no_guide_is_refused_in_one_line(spec, says, frames, tmp_path):
    with pytest.raises(UserError, match=says) as error_info:
        open_guide(spec, frames, cache_dir=tmp_path)
    assert "\n" not in str(error_info.value)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Generators of one style, of two, and of any; the first two leave what they see as it is."""
    folder = tmp_path_factory.mktemp("bundles")
    for name, generator in {
        "one": {"name": "realtime", "size": "nano"},
        "two": {"name": "realtime", "size": "nano", "styles": 2},
        "any": {"name": "microast"},
    }.items():
        init = functools.partial(init_parameters, build_generator(generator), image_size=32)
        shapes = jax.eval_shape(init, jax.random.key(0))
        zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
        metadata = {"name": name, "generator": generator, "styles": ["ink", "oil"]}
        save_bundle(folder / f"{name}.safetensors", zeros, metadata)
    return folder


@pytest.mark.slow
def test_a_bundle_is_a_guide_also_by_its_name(bundles, frames, tmp_path, monkeypatch):
    monkeypatch.setattr("jaxstyle.inference.shipped_styles.FOLDER", bundles)
    for spec in ("one", f"{bundles}/two.safetensors?style=oil"):
        found = open_guide(spec, frames, cache_dir=tmp_path)
        for frame, image in zip(frames, found, strict=True):
            np.testing.assert_allclose(image, frame, atol=1)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("one.safetensors?style=ink", "style is 'ink', but .* has one style"),
        ("two.safetensors", "style is ''; the styles of .* are: ink, oil"),
        ("two.safetensors?style=chalk", "style is 'chalk'; the styles of .* are: ink, oil"),
        ("any.safetensors", "takes its style from an image; name it in style"),
    ],
)
def test_the_style_of_a_bundle_is_asked_for(bundles, frames, tmp_path, spec, says):
    with pytest.raises(UserError, match=says):
        open_guide(str(bundles / spec), frames, cache_dir=tmp_path)
