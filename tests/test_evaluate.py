"""The command that compares models, as a person runs it."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.evaluate import main
from jaxstyle.evaluation.held_out import held_out_clips
from jaxstyle.inference.bundle import load_bundle, save_bundle
from jaxstyle.media.contact_sheet import write_png
from jaxstyle.media.images import read_image
from jaxstyle.models import build_discriminator, build_generator
from jaxstyle.models.examples import init_parameters

pytestmark = pytest.mark.slow

NANO = {"name": "realtime", "size": "nano"}
JUDGE = {"name": "patch", "width": 4, "layers": 1}
SMALL = ["--size=64", "--count=2", "--no_speed"]


def bundle(path, generator, **changed):
    parameters = init_parameters(build_generator(generator), jax.random.key(0), 64)
    judged = {**JUDGE, "styles": generator.get("styles", 1)}
    judge = build_discriminator(judged).init(jax.random.key(1), jnp.zeros((1, 32, 32, 3)))
    head = {**parameters["head"], **changed}
    metadata = {"generator": generator, "discriminator": judged}
    save_bundle(path, {**parameters, "head": head}, metadata, discriminator=judge)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model that adds 51 of 255 levels, one that diverged, one of two styles; photos."""
    folder = tmp_path_factory.mktemp("files")
    added = jnp.zeros((16, 4)).at[:, :3].set(0.4).reshape(-1)
    bundle(folder / "bright.safetensors", NANO, bias=added)
    bundle(folder / "nan.safetensors", NANO, bias=added * jnp.nan)
    bundle(folder / "two.safetensors", {**NANO, "styles": 2})
    rng = np.random.default_rng(0)
    for i in range(2):
        write_png(folder / "photos" / f"{i}.png", rng.integers(0, 200, (70, 90, 3), np.uint8))
    return folder


def run(*arguments):
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return stop.code


@pytest.fixture(scope="module")
def report(tmp_path_factory, files):
    """The folder of a report on scenes and photos, with all frames."""
    out = tmp_path_factory.mktemp("report") / "of" / "today"
    contents = ["--content=scenes", f"--content={files}/photos"]
    model = f"{files}/bright.safetensors"
    options = ["--save_frames", f"--judge={model}", f"--model={model}"]
    assert run(*contents, *options, *SMALL, f"--out={out}") == 0
    return out


def document_of(out):
    def refuse(constant):
        raise AssertionError(f"report.json holds {constant}")

    return json.loads((out / "report.json").read_text(), parse_constant=refuse)


def test_the_report_compares_all_on_all(report, files):
    document = document_of(report)
    names = ["input", "opencv stylization", "bright"]
    assert [contestant["name"] for contestant in document["contestants"]] == names
    assert [content["name"] for content in document["contents"]] == ["scenes", "photos"]
    scenes, photos = document["contents"]
    assert scenes == {**scenes, "frames": 18, "clips": 2, "truth": True, "width": 64, "height": 64}
    assert photos == {**photos, "frames": 2, "clips": 0, "truth": False}
    shown = set(document["metrics"])
    assert {"swd", "truth_ssim", "warp_long/relative", "judge"} <= shown
    assert not {"fid", "kid", "lpips"} & shown
    for name in names:
        assert document["figures"][name]["scenes"]["truth_psnr"] > 0
        assert document["figures"][name]["photos"]["flicker"] is None
    assert document["figures"]["input"]["scenes"]["ms_ssim"] == pytest.approx(1, abs=1e-5)
    assert document["figures"]["bright"]["photos"]["ms_ssim"] < 0.999
    assert document["command"].endswith(f"--no_speed --out={report}")
    notes = "\n".join(document["notes"])
    for told in (
        "scenes: its style is the true cel",
        "photos: no figures of style",
        "not measured",
    ):
        assert told in notes


def test_the_report_is_a_page_and_pictures(report):
    page = (report / "report.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "opencv stylization" in page
    for name in ("contact_sheet_scenes", "contact_sheet_photos", "strip_scenes"):
        assert read_image(report / f"{name}.png").std() > 0
    assert not (report / "strip_photos.png").exists()
    assert {path.suffix for path in report.iterdir() if path.is_file()} == {
        ".html",
        ".json",
        ".png",
    }


def test_all_frames_are_saved_as_they_are(report):
    frames = report / "frames"
    assert sorted(path.name for path in frames.iterdir()) == [
        "bright",
        "input",
        "opencv stylization",
    ]
    (_, second) = held_out_clips(2, 9, 64)
    for k in (0, 8):
        saved = {
            name: read_image(frames / name / "scenes" / "001" / f"{k:05d}.png")
            for name in ("input", "bright")
        }
        assert np.array_equal(saved["input"], second.frames[k])
        expected = np.minimum(second.frames[k].astype(int) + 51, 255)
        np.testing.assert_allclose(saved["bright"], expected, atol=1)
    assert len(list((frames / "bright" / "photos").iterdir())) == 2


def test_results_of_another_program_have_the_figures_of_the_same_frames(
    report, files, tmp_path, capsys
):
    results = f"theirs={report}/frames/bright"
    options = ["--content=scenes", f"--results={results}", *SMALL]
    assert run(*options, f"--out={tmp_path}/out") == 0
    theirs = document_of(tmp_path / "out")["figures"]["theirs"]["scenes"]
    ours = document_of(report)["figures"]["bright"]["scenes"]
    assert theirs.pop("judge") is None
    assert ours.pop("judge") is not None
    assert theirs == ours
    told = capsys.readouterr().out
    assert "swd/relative ↓" in told
    assert "\ntheirs " in told
    assert f"report: {tmp_path}/out/report.html" in told


def test_what_cannot_work_is_told_in_one_line_and_leaves_no_report(
    report, files, tmp_path, capsys, monkeypatch
):
    def worked(*arguments, **options):
        raise AssertionError("it worked before it refused")

    monkeypatch.setattr("jaxstyle.commands.run_evaluate.measure", worked)
    model, two, diverged = (files / f"{name}.safetensors" for name in ("bright", "two", "nan"))
    judgeless = tmp_path / "judgeless.safetensors"
    save_bundle(judgeless, load_bundle(model).parameters, {"generator": NANO})
    shutil.copytree(report / "frames" / "input" / "photos", tmp_path / "few" / "photos")
    (tmp_path / "few" / "photos" / "00001.png").unlink()
    (tmp_path / "file").write_text("not a folder")
    photos = f"--content={files}/photos"
    refused = [
        (["--content=scenes", "--content=nowhere"], "nowhere: no such source"),
        ([photos, "--style=nowhere"], "nowhere: no such source"),
        ([photos, photos], "is given twice"),
        ([photos, "--size=32"], "--size is 32; give 64 or more"),
        ([photos, "--frames=9"], "--frames is 9; give 10 or more"),
        ([photos, "--lpips=weights"], "LPIPS needs --lpips"),
        ([photos, "--inception=nowhere"], "nowhere"),
        ([photos, f"--model={files}/none"], "no model at"),
        ([photos, f"--model={diverged}"], "nan.safetensors: the model holds NaN"),
        ([photos, f"--model=input={model}"], "the name 'input' is taken"),
        ([photos, f"--judge={two}"], "has more than one style"),
        ([photos, f"--judge={judgeless}"], "has no discriminator"),
        ([photos, "--results=theirs=nowhere"], "there is no folder nowhere"),
        ([photos, f"--results={tmp_path}/few"], "has 1 pictures where the content has 2 frames"),
        ([photos, f"--out={tmp_path}/file"], "cannot make the folder"),
    ]
    for arguments, message in refused:
        out = tmp_path / "out"
        assert run(f"--out={out}", *SMALL, *arguments) == 1, message
        told = capsys.readouterr().err
        assert message in told
        assert told.startswith("error: ")
        assert told.count("\n") == 1, told
        assert not out.exists() or not list(out.iterdir())
    assert run(photos, "--save_frames", *SMALL, f"--out={report}") == 1
    assert "has frames of an earlier run" in capsys.readouterr().err


def test_ctrl_c_ends_it_without_a_report(files, tmp_path, capsys, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxstyle.commands.run_evaluate.measure", interrupted)
    assert run(f"--content={files}/photos", *SMALL, f"--out={tmp_path}/out") == 130
    assert capsys.readouterr().err == "interrupted: no report was written\n"
    assert not list((tmp_path / "out").iterdir())
