import sys

import jax
import numpy as np
import pytest
from jax import export
from PIL import Image

import jaxstyle.export
from jaxstyle.export.__main__ import main
from jaxstyle.inference.bundle import load_bundle, save_bundle
from jaxstyle.inference.engine import Stylizer, initial_state
from jaxstyle.inference.settings import Settings
from jaxstyle.models import build_generator
from jaxstyle.models.examples import init_parameters

pytestmark = pytest.mark.slow

CONFIGS = {
    "realtime": {"name": "realtime", "size": "tiny"},
    "multistyle": {"name": "realtime", "size": "tiny", "styles": 2},
    "animegan2": {"name": "animegan2", "align_corners": True},
    "animegan3": {"name": "animegan3"},
    "resnet": {"name": "resnet", "width": 8, "blocks": 2},
    "microast": {"name": "microast"},
}

# Of frames (height, width): not square, multiples of every stride.
SIZE = (64, 80)
STYLE_IMAGE = np.random.default_rng(3).integers(0, 256, (40, 48, 3), np.uint8)


def write_bundle(path, config):
    """All weights are random: untrained, the real-time generator would give back its input."""
    generator = build_generator(config)
    shapes = jax.eval_shape(lambda key: init_parameters(generator, key, 64), jax.random.key(0))
    rng = np.random.default_rng(0)

    def weights(shape):
        # Of a size that keeps the signal's.
        scale = np.sqrt(2 / np.prod(shape.shape[:-1])) if len(shape.shape) > 1 else 0.2
        offset = 0.0 if len(shape.shape) > 1 else 0.5
        return (offset + scale * rng.standard_normal(shape.shape)).astype(np.float32)

    metadata = {"generator": config, "name": "test", "licence": "CC0-1.0"}
    save_bundle(path, jax.tree.map(weights, shapes), {**metadata, "styles": ["ink", "oil"]})
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {name: write_bundle(folder / f"{name}.safetensors", c) for name, c in CONFIGS.items()}


@pytest.fixture(scope="module")
def style_arguments(tmp_path_factory):
    """By model: the second style of several, and an image for the arbitrary one."""
    path = tmp_path_factory.mktemp("style") / "wave.png"
    Image.fromarray(STYLE_IMAGE).save(path)
    return {"multistyle": ["--style=oil"], "microast": [f"--style={path}"]}


@pytest.fixture(scope="module")
def onnx_files(models, style_arguments, tmp_path_factory):
    """All models with open sizes: exporting and checking them is most of what the tests do."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("onnx")
    files = {name: folder / f"{name}.onnx" for name in models}
    for name, model in models.items():
        assert main([str(model), str(files[name]), *style_arguments.get(name, [])]) == 0
    return files


@pytest.fixture(scope="module")
def stylized(models):
    """What the live engine makes of frames: f(name of the model, frames, strength)."""
    engines = {}

    def engine(name):
        if name not in engines:
            images = [STYLE_IMAGE] if name == "microast" else None
            engines[name] = Stylizer(load_bundle(models[name]), style_images=images)
        return engines[name]

    def run(name, frames, strength=1.0):
        style = 1 if name == "multistyle" else 0
        settings = Settings(style=style, strength=strength)
        state = initial_state(*frames.shape[1:3])
        return np.asarray(engine(name).step(state, frames, settings)[1])

    return run


def noise(n, height, width):
    return np.random.default_rng(1).integers(0, 256, (n, height, width, 3), dtype=np.uint8)


def assert_levels_equal(found, wanted, source):
    difference = np.abs(found.astype(int) - wanted.astype(int))
    assert difference.max() <= 1
    # And it is not equal because nothing was done.
    assert np.abs(wanted.astype(int) - source.astype(int)).mean() > 10


def run_onnx(path, frames, strength=1.0):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(path)
    feed = {"frames": frames, "strength": np.array(strength, np.float32)}
    return session.run(None, feed)[0]


def last_error(capsys):
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize("name", CONFIGS)
def test_an_onnx_file_of_open_size_stylizes_as_its_bundle_does(onnx_files, stylized, name):
    frames = noise(2, *SIZE)
    for strength in (1.0, 0.3):
        found = run_onnx(onnx_files[name], frames, strength)
        assert_levels_equal(found, stylized(name, frames, strength), frames)


@pytest.mark.parametrize("name", ["realtime", "multistyle", "animegan3", "microast"])
def test_a_stablehlo_file_of_open_size_stylizes_as_its_bundle_does(
    models, stylized, style_arguments, tmp_path, name
):
    style = style_arguments.get(name, [])
    assert main([str(models[name]), str(tmp_path / "m.stablehlo"), *style]) == 0
    exported = export.deserialize(bytearray((tmp_path / "m.stablehlo").read_bytes()))
    assert exported.platforms == ("cpu", "cuda", "tpu")
    frames = noise(2, *SIZE)
    found = np.asarray(exported.call(frames, np.float32(0.7)))
    assert_levels_equal(found, stylized(name, frames, 0.7), frames)


@pytest.mark.parametrize("kind", ["onnx", "stablehlo"])
def test_a_file_of_one_size_may_have_any(models, stylized, tmp_path, kind):
    if kind == "onnx":
        pytest.importorskip("onnx")
    out = tmp_path / f"m.{kind}"
    assert main([str(models["realtime"]), str(out), "--size=51x37", "--batch=2"]) == 0
    frames = noise(2, 37, 51)
    if kind == "onnx":
        found = run_onnx(out, frames)
    else:
        found = export.deserialize(bytearray(out.read_bytes())).call(frames, np.float32(1))
    assert_levels_equal(np.asarray(found), stylized("realtime", frames), frames)


@pytest.mark.parametrize("name", CONFIGS)
def test_openvino_runs_the_same_file_with_the_same_result(onnx_files, stylized, name):
    openvino = pytest.importorskip("openvino")
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(onnx_files[name], "CPU", options)
    frames = noise(2, *SIZE)
    found = compiled({"frames": frames, "strength": np.array(1, np.float32)})[0]
    assert_levels_equal(found, stylized(name, frames), frames)


def test_an_onnx_file_says_what_it_is_and_whose(onnx_files):
    model = pytest.importorskip("onnx").load(onnx_files["multistyle"])
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert properties["name"] == "test"
    assert properties["style"] == "oil"
    assert properties["licence"] == "CC0-1.0"
    assert model.producer_name == "jaxstyle"


def test_the_first_of_several_styles_is_the_default(models, tmp_path, capsys):
    arguments = ["--size=32x32", "--batch=1", "--platforms=cpu"]
    results = []
    for style in ([], ["--style=ink"], ["--style=oil"]):
        out = tmp_path / f"{len(results)}.stablehlo"
        assert main([str(models["multistyle"]), str(out), *style, *arguments]) == 0
        exported = export.deserialize(bytearray(out.read_bytes()))
        results.append(np.asarray(exported.call(noise(1, 32, 32), np.float32(1))))
    np.testing.assert_array_equal(results[0], results[1])
    assert np.abs(results[1].astype(int) - results[2]).mean() > 1
    told = [line for line in capsys.readouterr().out.splitlines() if "style" in line.split()]
    assert told == ["with the style ink", "with the style ink", "with the style oil"]


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        ("realtime", ["--style=ink"], "one style only"),
        ("multistyle", ["--style=wax"], "no style 'wax'; there are: ink, oil"),
        ("microast", [], "give one with --style=IMAGE"),
        ("microast", ["--style=nowhere.png"], "nowhere.png"),
    ],
)
def test_a_style_that_is_not_there_is_refused(models, tmp_path, capsys, model, arguments, message):
    with pytest.raises(SystemExit):
        main([str(models[model]), str(tmp_path / "m.stablehlo"), *arguments])
    assert message in last_error(capsys)
    assert list(tmp_path.iterdir()) == []


def test_what_makes_pictures_from_noise_is_sent_to_the_command_for_that(tmp_path, capsys):
    config = {"name": "dcgan", "width": 2}
    model = write_bundle(tmp_path / "m.safetensors", config)
    with pytest.raises(SystemExit):
        main([str(model), str(tmp_path / "m.onnx")])
    assert "jaxstyle.generate" in last_error(capsys)
    assert not (tmp_path / "m.onnx").exists()


def test_what_was_compared_and_how_to_run_the_file_is_printed(models, tmp_path, capsys):
    out = tmp_path / "m.stablehlo"
    assert main([str(models["realtime"]), str(out), "--size=40x32", "--platforms=cpu"]) == 0
    printed = capsys.readouterr().out
    assert "on 3 frames of 40x32: differs by at most 0 of 255 levels" in printed
    assert f"wrote {out}" in printed
    assert f"export.deserialize(open({str(out)!r}" in printed
    assert [path.name for path in tmp_path.iterdir()] == ["m.stablehlo"]


def test_an_export_that_differs_from_its_source_leaves_nothing_behind(
    models, tmp_path, capsys, monkeypatch
):
    pytest.importorskip("onnx")
    from jaxstyle.export import onnx_blocks

    def wrong_order(graph, eqn, x):
        return graph.add("DepthToSpace", x, blocksize=4, mode="CRD")

    monkeypatch.setitem(onnx_blocks.BLOCKS, "pixel_shuffle", wrong_order)
    with pytest.raises(SystemExit):
        main([str(models["realtime"]), str(tmp_path / "m.onnx")])
    assert "nothing is written, the exported model is not its source" in last_error(capsys)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_replaced_only_when_asked(models, tmp_path, capsys):
    out = tmp_path / "m.stablehlo"
    out.write_text("precious")
    arguments = [str(models["realtime"]), str(out), "--size=32x32", "--platforms=cpu"]
    with pytest.raises(SystemExit):
        main(arguments)
    assert "--overwrite" in last_error(capsys)
    assert out.read_text() == "precious"
    assert main([*arguments, "--overwrite"]) == 0
    assert export.deserialize(bytearray(out.read_bytes())).platforms == ("cpu",)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["m.abc"], "neither .stablehlo nor .onnx"),
        (["missing/m.onnx"], "no folder"),
        (["m.onnx", "--platforms=cpu"], "--platforms is for StableHLO"),
        (["m.onnx", "--dtype=bfloat16"], "--dtype=float32"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(models, tmp_path, capsys, arguments, message):
    if "--dtype=bfloat16" in arguments:
        pytest.importorskip("onnx")
    with pytest.raises(SystemExit):
        main([str(models["realtime"]), str(tmp_path / arguments[0]), *arguments[1:]])
    assert message in last_error(capsys)
    assert list(tmp_path.iterdir()) == []


def test_the_bundle_is_never_replaced_by_its_own_export(models, capsys):
    model = models["realtime"]
    before = model.read_bytes()
    with pytest.raises(SystemExit):
        main([str(model), str(model), "--format=stablehlo", "--overwrite"])
    assert "is the model itself" in last_error(capsys)
    assert model.read_bytes() == before


def test_a_missing_runtime_is_named_with_the_command_that_installs_it(
    models, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "jaxstyle.export.onnx", raising=False)
    monkeypatch.delattr(jaxstyle.export, "onnx", raising=False)
    with pytest.raises(SystemExit):
        main([str(models["realtime"]), str(tmp_path / "m.onnx")])
    assert "pip install 'jaxstyle[onnx]'" in last_error(capsys)
