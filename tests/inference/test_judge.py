import json
from fractions import Fraction

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxstyle.errors import UserError
from jaxstyle.inference.bundle import Bundle, Judge
from jaxstyle.inference.judge import FrameJudge, poor_outliers
from jaxstyle.inference.styles import styles_of
from jaxstyle.media.film import Frame
from jaxstyle.realtime.controls import Controls
from jaxstyle.realtime.judging import JudgeSink, check_judge_clashes, check_judge_path


class Plain(nn.Module):
    stride = 4

    def __call__(self, x):
        return x


class Brightness(nn.Module):
    """A logit a pixel, and for each of `styles`: the sum of all channels times a gain."""

    styles: int = 1

    @nn.compact
    def __call__(self, x, update_stats=False):
        gain = self.param("gain", nn.initializers.ones, (x.shape[-1], self.styles))
        return x @ gain


class FixedSize(nn.Module):
    image_size: int = 16

    @nn.compact
    def __call__(self, x, update_stats=False):
        assert x.shape == (1, 16, 16, 3)
        return x.mean(axis=(1, 2, 3), keepdims=True)


def bundle(gain, conditional=False, **metadata):
    gain = jnp.asarray(gain, jnp.float32)
    judge = Judge(Brightness(gain.shape[1]), {"params": {"gain": gain}}, conditional)
    return Bundle(Plain(), {}, {"name": "ink", **metadata}, {}, judge)


def grey(level, height=48, width=64):
    return np.full((height, width, 3), level, np.uint8)


def test_the_score_is_the_mean_logit_of_the_output():
    judge = FrameJudge(bundle([[1.0], [2.0], [3.0]]))
    rgb = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    expected = ((rgb / 127.5 - 1) @ [1.0, 2.0, 3.0]).mean()
    assert judge.score(rgb, grey(0)) == pytest.approx(expected, abs=1e-4)


def test_a_conditional_judge_sees_the_content_first():
    judge = FrameJudge(bundle([[1.0]] * 3 + [[10.0]] * 3, conditional=True))
    content, result = grey(255, 96, 128), grey(127)
    value = 127 / 127.5 - 1
    assert judge.score(result, content) == pytest.approx(3 * 1 + 30 * value, abs=1e-4)


def test_a_judge_of_several_styles_answers_for_those_that_are_shown():
    judge = FrameJudge(bundle([[1.0, 0.0], [0.0, 0.0], [0.0, 5.0]]))
    frame = grey(255)
    for weights, expected in [((1, 0), 1), ((0, 1), 5), ((0.5, 0.5), 3)]:
        score = judge.score(frame, frame, np.asarray(weights, np.float32))
        assert score == pytest.approx(expected, abs=1e-5)


def test_large_frames_are_judged_at_the_scale_of_training():
    sizes = []

    class Recording(Brightness):
        @nn.compact
        def __call__(self, x, update_stats=False):
            sizes.append(x.shape[1:3])
            return x[..., :1]

    def judge(metadata):
        return FrameJudge(Bundle(Plain(), {}, metadata, {}, Judge(Recording(), {"params": {}})))

    config = {"image_size": 96, "data": {"crop_scale": [0.5, 1.0]}}
    trained = judge({"config": config})
    for size in [(1080, 1920), (96, 128), (10, 10)]:
        trained.score(grey(1, *size), grey(1))
    judge({}).score(grey(1, 1080, 1920), grey(1))
    # The shorter side: 96 / 0.75 = 128.
    assert sizes == [(128, 224), (96, 128), (64, 64), (512, 896)]
    fixed = FrameJudge(Bundle(Plain(), {}, {}, {}, Judge(FixedSize(), {"params": {}})))
    assert fixed.score(grey(255, 100, 50), grey(1)) == pytest.approx(1.0)


def test_a_judge_that_is_missing_or_broken_is_one_line():
    with pytest.raises(UserError, match=r"ink has no discriminator.*adversarial\.weight 0"):
        FrameJudge(Bundle(Plain(), {}, {"name": "ink"}))
    with pytest.raises(UserError, match="NaN"):
        FrameJudge(bundle([[np.nan]] * 3))


def test_poor_outliers_are_flagged_and_no_others():
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 0.1, 200)
    scores[[7, 90]] = -2.0, -1.0
    scores[50] = 3.0  # an outlier, and a good one
    assert list(np.flatnonzero(poor_outliers(scores))) == [7, 90]
    # An even film has none, however its frames differ in the last bit.
    assert not poor_outliers(1 + 1e-6 * rng.normal(size=100)).any()
    assert not poor_outliers(np.zeros(5)).any()
    assert poor_outliers([]).shape == (0,)


def test_no_more_than_a_twentieth_is_flagged_the_poorest():
    scores = np.concatenate([np.random.default_rng(0).normal(0, 0.01, 80), -np.arange(1.0, 21.0)])
    assert list(np.flatnonzero(poor_outliers(scores))) == [95, 96, 97, 98, 99]


def judge_film(path, levels):
    source = bundle([[1.0]] * 3)
    styles = styles_of([source])
    controls = Controls(["ink"])
    with JudgeSink(FrameJudge(source), path, Fraction(1, 50), controls, styles) as sink:
        for i, level in enumerate(levels):
            sink.write(Frame(grey(level), 2 * i, 2, original=grey(0)))
        assert not path.exists()
        sink.finish()


def test_scores_flags_and_the_worst_frames_are_written(tmp_path, capsys):
    path = tmp_path / "poor.jsonl"
    levels = [200 + i % 3 for i in range(40)]
    levels[23] = 10
    judge_film(path, levels)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(40))
    assert [line["seconds"] for line in lines] == pytest.approx([i / 25 for i in range(40)])
    expected = [3 * (level / 127.5 - 1) for level in levels]
    np.testing.assert_allclose([line["score"] for line in lines], expected, atol=1e-4)
    assert [line["frame"] for line in lines if line.get("flagged")] == [23]
    assert all("flagged" not in line for line in lines if line["frame"] != 23)
    told = capsys.readouterr().err
    assert f"1 of 40 frames flagged as poor, in {path}" in told
    with Image.open(tmp_path / "poor.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB")).astype(int)
    # Eight of them, the worst first, its caption red.
    assert (pixels[100, 100] == 10).all()
    assert (pixels[100, 500] == 200).all()
    red = (pixels[..., 0] > 150) & (pixels[..., 1] < 60)
    assert red[240:270, :320].any()
    assert not red[:, 330:].any()


def test_a_film_without_frames_is_an_error(tmp_path):
    with pytest.raises(UserError, match="not one frame to judge"):
        judge_film(tmp_path / "poor.jsonl", [])
    assert list(tmp_path.iterdir()) == []


def test_where_scores_cannot_go_is_said_at_once(tmp_path):
    for name, message in [
        ("poor.txt", "ends in .jsonl"),
        ("nowhere/poor.jsonl", "no folder"),
        ("a.jsonl", "a.png exists; --overwrite replaces it"),
    ]:
        (tmp_path / "a.png").touch()
        with pytest.raises(UserError, match=message):
            check_judge_path(tmp_path / name, overwrite=False)
    check_judge_path(tmp_path / "a.jsonl", overwrite=True)


def test_scores_take_no_other_files_place(tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    photo, link = tmp_path / "photo.png", tmp_path / "link.png"
    photo.touch()
    link.symlink_to(photo)
    used = {
        "the source": [photo],
        "a style image": [tmp_path / "style.png"],
        "a sink": [frames, tmp_path / "new.png"],
        "a model": [],
    }
    for name, clash in [
        ("photo.jsonl", "photo.png, which is the source"),
        ("link.jsonl", "link.png, which is the source"),
        ("new.jsonl", "new.png, which is a sink"),
        ("style.jsonl", "style.png, which is a style image"),
        ("frames/a.jsonl", "a.jsonl, which is a sink or lies in it"),
        ("frames/../new.jsonl", "new.png, which is a sink"),
    ]:
        with pytest.raises(UserError, match=clash):
            check_judge_clashes(
                tmp_path / name, {what: iter(files) for what, files in used.items()}
            )
    check_judge_clashes(tmp_path / "other.jsonl", used)
