import numpy as np
import pytest
from ml_collections import FrozenConfigDict

from jaxstyle.config import default_config
from jaxstyle.errors import UserError
from jaxstyle.evaluation.catalogue import METRICS
from jaxstyle.evaluation.contents import squares
from jaxstyle.evaluation.validation import is_better, open_validation


def same(frames):
    return frames


def darker(frames):
    return frames // 2


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    return tuple(rng.integers(0, 256, (70 + i, 80, 3), np.uint8) for i in range(5))


@pytest.fixture
def nothing_measured(monkeypatch):
    metrics = dict.fromkeys(METRICS, 1.0)
    monkeypatch.setattr("jaxstyle.evaluation.validation.measure", lambda *_: metrics)


def validation_of(content, style, **settings):
    config = default_config()
    config.data.content = "photos/"
    config.evaluation.update({"every": 1, "count": 3, "size": 64, **settings})
    return open_validation(FrozenConfigDict(config), content, style)


@pytest.mark.slow
def test_without_a_content_of_its_own_the_training_data_are_measured(pictures):
    validation = validation_of(pictures, pictures)
    metrics = validation.metrics([same])
    assert validation.content.clips[0].frames.shape == (3, 64, 64, 3)
    assert metrics["swd"] == pytest.approx(0, abs=1e-6)
    assert metrics["ms_ssim"] == pytest.approx(1, abs=1e-6)
    assert "warp_short" not in metrics
    assert "truth_ssim" not in metrics
    assert validation.metrics([darker])["swd"] > metrics["swd"]


@pytest.mark.slow
def test_each_style_is_measured_against_its_own_pictures(pictures):
    dark = tuple(map(darker, pictures))
    validation = validation_of(pictures, [pictures, dark])
    # Rounding: they were made darker before they were shrunk.
    assert validation.metrics([same, darker])["swd"] < 0.01
    assert validation.metrics([darker, same])["swd"] > 0.1
    assert validation.sheet([same, darker]).shape[1] == 3 * 64 + 2 * 4


@pytest.mark.slow
def test_scenes_are_measured_against_the_truth_and_in_motion():
    config = default_config()
    config.evaluation.update({"every": 1, "count": 2, "size": 64})
    validation = open_validation(FrozenConfigDict(config), None, None)
    metrics = validation.metrics([same])
    for name in ("swd", "warp_short", "warp_long", "flicker"):
        assert metrics[f"{name}/relative"] == 1
    assert 0 < metrics["truth_ssim"] < 1
    told = validation.told(metrics)
    assert f"{metrics['warp_long']:.3g}  (unstylized {metrics['warp_long']:.3g}), lower" in told
    assert validation.sheet([same]).shape[1] == 3 * 64 + 2 * 4


@pytest.mark.parametrize(
    ("by", "metrics", "best", "better"),
    [
        ("swd", {"swd": 0.2}, None, True),
        ("swd", {"swd": 0.2}, {"swd": 0.3}, True),
        ("swd", {"swd": 0.3}, {"swd": 0.2}, False),
        ("truth_ssim", {"truth_ssim": 0.5}, {"truth_ssim": 0.4}, True),
        ("truth_ssim", {"truth_ssim": 0.4}, {"truth_ssim": 0.4}, False),
        ("warp_long/relative", {"warp_long/relative": 1.0}, {"warp_long/relative": 1.2}, True),
        ("swd", {"swd": 0.2}, {"edge_f1": 0.3}, True),
    ],
)
def test_what_is_better_depends_on_the_figure(by, metrics, best, better):
    assert is_better(metrics, best, by) is better


@pytest.mark.parametrize("best", ["fid", "truth_ssim", "flicker/relative"])
def test_a_figure_that_there_is_not_cannot_choose_the_best(pictures, best):
    told = rf"evaluation\.best is '{best}', which cannot be measured here; there are: swd, swd/rel"
    with pytest.raises(UserError, match=told):
        validation_of(pictures, pictures, best=best)


@pytest.mark.parametrize(
    "learned",
    [
        {"data.style": "paintings/"},
        {"data.style": "scenes:photo?count=2"},
        {"data.teacher": "teacher.safetensors"},
        {"data.styles": ("scenes:cel",)},
    ],
)
def test_scenes_have_no_truth_where_another_look_is_learned(pictures, nothing_measured, learned):
    config = default_config()
    config.evaluation.update({"every": 1, "count": 1, "size": 64})
    config.update_from_flattened_dict(learned)
    validation = open_validation(FrozenConfigDict(config), pictures, pictures)
    assert validation.content.name == "scenes"
    assert not validation.content.has_truth
    assert np.array_equal(validation.styles[0], squares(pictures, 64, 1))


def test_cel_frames_that_are_trained_on_are_not_taken_for_photos(pictures, nothing_measured):
    config = default_config()
    config.data.update({"content": "scenes:cel", "style": "scenes:photo"})
    config.evaluation.update({"every": 1, "count": 3, "size": 64})
    validation = open_validation(FrozenConfigDict(config), pictures, pictures)
    assert np.array_equal(validation.content.clips[0].frames, squares(pictures, 64, 3))
