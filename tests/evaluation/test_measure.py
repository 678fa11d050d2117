import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.errors import UserError
from jaxstyle.evaluation import catalogue
from jaxstyle.evaluation.color_histogram import color_histogram_distance
from jaxstyle.evaluation.contents import Content
from jaxstyle.evaluation.edges import edge_f1
from jaxstyle.evaluation.fid import SMALLEST_SET, frechet_distance
from jaxstyle.evaluation.footage import Footage, Motion
from jaxstyle.evaluation.grid import grid_power
from jaxstyle.evaluation.held_out import held_out_clips
from jaxstyle.evaluation.kid import kernel_distance
from jaxstyle.evaluation.measure import Instruments, caveats, measure, missing, with_relative
from jaxstyle.evaluation.ms_ssim import ms_ssim
from jaxstyle.evaluation.psnr import HIGHEST_PSNR, psnr
from jaxstyle.evaluation.ssim import ssim
from jaxstyle.evaluation.swd import sliced_wasserstein
from jaxstyle.evaluation.temporal_consistency import flicker, warp_error
from jaxstyle.features import inception
from jaxstyle.inference.bundle import Bundle, Judge
from jaxstyle.inference.judge import FrameJudge

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scenes():
    return Content("scenes", tuple(held_out_clips(2, 9, 64)))


@pytest.fixture(scope="module")
def style(scenes):
    return np.stack([clip.truth[0] for clip in scenes.clips])


@pytest.fixture(scope="module")
def own(scenes, style):
    return measure(scenes, inputs(scenes), style)


def inputs(content):
    return [clip.frames for clip in content.clips]


def pictures(frames):
    return Content("pictures", (Footage("pictures", frames),))


def noise(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 64, 64, 3), np.uint8)


def unit(frames):
    return jnp.asarray(frames, jnp.float32) / 255


def test_the_input_keeps_all_content_and_is_as_steady_as_itself(own):
    metrics = with_relative(own, own)
    assert metrics["ssim"] == pytest.approx(1, abs=1e-6)
    assert metrics["ms_ssim"] == pytest.approx(1, abs=1e-6)
    assert metrics["edge_f1"] == 1
    for name in ("swd", "color_histogram", "warp_short", "warp_long", "flicker"):
        assert metrics[f"{name}/relative"] == 1
    assert metrics["fid"] is None
    assert metrics["fid/relative"] is None
    assert "kid/relative" not in metrics
    assert set(metrics) == set(catalogue.names())


def test_the_truth_is_at_no_distance_from_itself(scenes, style, own):
    metrics = measure(scenes, [clip.truth for clip in scenes.clips], style)
    assert metrics["swd"] == pytest.approx(0, abs=1e-6)
    assert metrics["color_histogram"] == pytest.approx(0, abs=1e-4)
    assert metrics["truth_ssim"] == pytest.approx(1, abs=1e-4)
    assert metrics["truth_psnr"] == HIGHEST_PSNR
    assert metrics["ms_ssim"] < 1
    assert own["swd"] > 0.01
    assert own["truth_ssim"] < 0.95


def test_figures_are_those_of_the_metrics(scenes, style):
    outputs = [255 - frames for frames in inputs(scenes)]
    metrics = measure(scenes, outputs, style)
    # Of scenes, whose frames are alike, the first ones are compared; all are looked at in motion.
    shown, given = (np.stack([frames[0] for frames in x]) for x in (outputs, inputs(scenes)))
    luma = [unit(x) @ jnp.float32([[0.299], [0.587], [0.114]]) for x in (shown, given)]
    squares = [
        (
            warp_error(frames, clip.motions[0]) ** 2,
            warp_error(frames, clip.motions[1]) ** 2,
            flicker(frames, clip.frames) ** 2,
        )
        for clip, frames in zip(scenes.clips, outputs, strict=True)
    ]
    steadiness = np.sqrt(np.mean(squares, axis=0))
    expected = {
        "swd": sliced_wasserstein(unit(shown), unit(style), jax.random.key(0))["swd/mean"],
        "color_histogram": color_histogram_distance(unit(shown), unit(style)),
        "grid": grid_power(shown) / grid_power(style),
        "ssim": ssim(*luma).mean(),
        "ms_ssim": ms_ssim(unit(shown), unit(given)).mean(),
        "edge_f1": edge_f1(shown, given).mean(),
        "truth_ssim": ssim(unit(shown), unit(style)).mean(),
        "truth_psnr": psnr(unit(shown), unit(style)).mean(),
        **dict(zip(("warp_short", "warp_long", "flicker"), steadiness, strict=True)),
    }
    for name, value in expected.items():
        assert metrics[name] == pytest.approx(float(value), rel=1e-4, abs=1e-6), name
    assert {name for name, value in metrics.items() if value is None} == {
        "fid",
        "kid",
        "lpips",
        "judge",
    }


def test_results_of_another_shape_are_refused(scenes):
    with pytest.raises(UserError, match=r"scenes: results of shape \(8, .* of shape \(9, "):
        measure(scenes, [frames[1:] for frames in inputs(scenes)], None)


def test_what_is_not_known_is_not_measured_and_told():
    content = pictures(noise(3))
    metrics = measure(content, inputs(content), None)
    known = {name for name, value in metrics.items() if value is not None}
    assert known == {"ssim", "ms_ssim", "edge_f1"}
    assert missing(content, None, Instruments(), metrics) == [
        "pictures: no figures of style, as there is no --style to compare with",
        "pictures: nothing of steadiness, these are single pictures",
    ]


def test_a_reader_is_told_what_figures_are_of_and_relative_to(own):
    still = pictures(np.repeat(noise(1), 70, axis=0))
    metrics = with_relative({**own, "warp_short": 0.001, "flicker": 0.0}, own)
    relative = with_relative(metrics, metrics)
    rest = "is below 0.5/255, and the figures relative to it are multiples of 0.5/255"
    assert caveats(still, relative) == [
        "pictures: style, content and truth are measured on 64 of 70 frames",
        f"pictures: the input's own warp error, short range {rest}",
        f"pictures: the input's own flicker {rest}",
    ]
    assert caveats(pictures(noise(2)), with_relative(own, own)) == []


def test_constant_frames_have_finite_figures(scenes, style, own):
    black = [np.zeros_like(frames) for frames in inputs(scenes)]
    metrics = with_relative(measure(scenes, black, style), own)
    flat = pictures(np.full((2, 64, 64, 3), 9, np.uint8))
    same = measure(flat, inputs(flat), np.full((2, 64, 64, 3), 9, np.uint8))
    for name, value in [*metrics.items(), *with_relative(same, same).items()]:
        assert value is None or math.isfinite(value), name
    assert metrics["flicker"] == 0
    assert same["swd"] == 0


def test_what_a_film_hides_is_not_measured_and_told():
    frames = noise(10)
    flow = np.zeros((1, 64, 64, 2), np.float32)
    seen = np.ones((1, 64, 64), bool)

    def notes(*visible):
        motions = (
            Motion(span, (0,), flow, seen & v) for span, v in zip((1, 8), visible, strict=True)
        )
        content = Content("film", (Footage("film", frames, motions=tuple(motions)),))
        metrics = measure(content, inputs(content), None)
        assert [metrics[name] is not None for name in ("warp_short", "warp_long")] == [*visible]
        return missing(content, None, Instruments(), metrics)[1:]

    still = "film: no flicker, as hardly anything stands still in it"
    assert notes(True, True) == [still]
    assert notes(False, False) == ["film: no warp error, as its motion cannot be followed", still]
    far = "film: no warp error at long range, as its motion cannot be followed so far"
    assert notes(True, False) == [far, still]


@pytest.fixture
def features(monkeypatch):
    """In place of InceptionV3: the mean of each quarter of an image, and its square.

    No other figures are computed.
    """

    def activations(parameters, frames):
        assert frames.dtype == np.uint8
        quarters = frames.reshape(len(frames), 2, frames.shape[1] // 2, 2, -1).mean(axis=(2, 4))
        values = quarters.reshape(len(frames), 4) / 255
        return np.concatenate([values, values**2], axis=1)

    monkeypatch.setattr(inception, "activations", activations)
    for others in ("_style_metrics", "_content_metrics"):
        monkeypatch.setattr(f"jaxstyle.evaluation.measure.{others}", lambda *_: {})
    return lambda frames: activations({}, frames)


WITH_INCEPTION = Instruments(inception={})


def distances(count, style):
    content = pictures(noise(count))
    metrics = measure(content, inputs(content), style, WITH_INCEPTION)
    notes = [line for line in missing(content, style, WITH_INCEPTION, metrics) if "ID" in line]
    return metrics["kid"], metrics["fid"], notes


def test_kid_is_that_of_whole_sets_where_they_are_small(features):
    style = noise(6, seed=1)
    a, b = features(noise(6)), features(style)
    kernel = [(x @ y.T / 8 + 1) ** 3 for x, y in ((a, a), (b, b), (a, b))]
    # The unbiased estimate of Binkowski et al. 2018, from all pairs of two images.
    within = sum(k[~np.eye(6, dtype=bool)].mean() for k in kernel[:2])
    kid, fid, notes = distances(6, style)
    assert kid == pytest.approx(within - 2 * kernel[2].mean(), rel=1e-6)
    assert fid is None
    assert notes == [
        f"pictures: no FID of 6 pictures, it wants {SMALLEST_SET} or more; KID does with few"
    ]


def test_kid_of_sets_of_unequal_size_is_a_mean_over_subsets(features):
    style = noise(6, seed=1)
    expected, _ = kernel_distance(features(noise(3)), features(style), jax.random.key(0))
    assert distances(3, style)[0] == expected


def test_a_single_picture_has_neither_fid_nor_kid(features):
    notes = ["pictures: neither FID nor KID of a single picture"]
    assert distances(1, noise(3)) == (None, None, notes)
    assert distances(3, noise(1)) == (None, None, notes)


def test_fid_is_measured_where_there_are_pictures_enough(features, monkeypatch):
    monkeypatch.setattr("jaxstyle.evaluation.measure.SMALLEST_SET", 6)
    style = noise(6, seed=1)
    assert distances(5, style)[1] is None
    _, fid, notes = distances(6, style)
    assert fid == frechet_distance(features(noise(6)), features(style))
    assert notes == []


def test_the_judge_sees_the_frames_and_their_inputs(scenes, style):
    class Difference:
        """A logit a picture: by how much it is brighter than its content."""

        @staticmethod
        def apply(variables, x):
            return (x[..., 3:] - x[..., :3]).mean(axis=(1, 2, 3), keepdims=True)

    judge = Judge(Difference, {"params": {}}, conditional=True)
    bundle = Bundle(None, {}, {}, {}, judge)
    content = dataclasses.replace(scenes, clips=scenes.clips[:1])
    halved = [np.minimum(frames, 155) + 100 for frames in inputs(content)]
    metrics = measure(content, halved, None, Instruments(judge=FrameJudge(bundle)))
    change = halved[0][0].astype(float) - inputs(content)[0][0]
    assert metrics["judge"] == pytest.approx(change.mean() / 127.5, abs=1e-4)
