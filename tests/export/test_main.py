import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import jaxstyle.export
from jaxstyle.bundle import load_bundle, save_bundle
from jaxstyle.export.__main__ import main
from jaxstyle.models import build_generator
from jaxstyle.realtime.engine import stylize

CONFIGS = {
    "realtime": {"name": "realtime", "size": "tiny"},
    "animegan2": {"name": "animegan2"},
}


def write_bundle(path, config):
    """All weights are random: untrained, the real-time generator would give back its input."""
    generator = build_generator(config)
    shapes = jax.eval_shape(generator.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
    rng = np.random.default_rng(0)

    def weights(shape):
        # Of a size that keeps the signal's.
        scale = np.sqrt(2 / np.prod(shape.shape[:-1])) if len(shape.shape) > 1 else 0.2
        offset = 0.0 if len(shape.shape) > 1 else 0.5
        return (offset + scale * rng.standard_normal(shape.shape)).astype(np.float32)

    parameters = jax.tree.map(weights, shapes["params"])
    save_bundle(path, parameters, {"generator": config, "name": "test", "licence": "CC0-1.0"})
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {name: write_bundle(folder / f"{name}.safetensors", c) for name, c in CONFIGS.items()}


@pytest.fixture(scope="module")
def onnx_files(models, tmp_path_factory):
    """Both models with open sizes: exporting and checking them is most of what the tests do."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("onnx")
    files = {name: folder / f"{name}.onnx" for name in models}
    for name, model in models.items():
        assert main([str(model), str(files[name])]) == 0
    return files


@functools.cache
def source(model):
    bundle = load_bundle(model)
    return jax.jit(functools.partial(stylize, bundle.generator, bundle.parameters))


def stylized(model, frames, strength=1.0):
    return np.asarray(source(model)(frames, jnp.float32(strength)))


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
def test_an_onnx_file_of_open_size_stylizes_as_its_bundle_does(models, onnx_files, name):
    frames = noise(2, 36, 52)
    for strength in (1.0, 0.3):
        found = run_onnx(onnx_files[name], frames, strength)
        assert_levels_equal(found, stylized(models[name], frames, strength), frames)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_stablehlo_file_of_open_size_stylizes_as_its_bundle_does(models, tmp_path, name):
    assert main([str(models[name]), str(tmp_path / "m.stablehlo")]) == 0
    exported = export.deserialize(bytearray((tmp_path / "m.stablehlo").read_bytes()))
    assert exported.platforms == ("cpu", "cuda", "tpu")
    frames = noise(2, 36, 52)
    found = np.asarray(exported.call(frames, np.float32(0.7)))
    assert_levels_equal(found, stylized(models[name], frames, 0.7), frames)


@pytest.mark.parametrize("kind", ["onnx", "stablehlo"])
def test_a_file_of_one_size_may_have_any(models, tmp_path, kind):
    if kind == "onnx":
        pytest.importorskip("onnx")
    out = tmp_path / f"m.{kind}"
    assert main([str(models["realtime"]), str(out), "--size=51x37", "--batch=2"]) == 0
    frames = noise(2, 37, 51)
    if kind == "onnx":
        found = run_onnx(out, frames)
    else:
        found = export.deserialize(bytearray(out.read_bytes())).call(frames, np.float32(1))
    assert_levels_equal(np.asarray(found), stylized(models["realtime"], frames), frames)


@pytest.mark.parametrize("name", CONFIGS)
def test_openvino_runs_the_same_file_with_the_same_result(models, onnx_files, name):
    openvino = pytest.importorskip("openvino")
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(onnx_files[name], "CPU", options)
    frames = noise(2, 36, 52)
    found = compiled({"frames": frames, "strength": np.array(1, np.float32)})[0]
    assert_levels_equal(found, stylized(models[name], frames), frames)


def test_an_onnx_file_says_what_it_is_and_whose(onnx_files):
    model = pytest.importorskip("onnx").load(onnx_files["realtime"])
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert properties["name"] == "test"
    assert properties["licence"] == "CC0-1.0"
    assert model.producer_name == "jaxstyle"


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
