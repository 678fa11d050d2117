"""What every command takes as a model: a file, the name of a style that ships, or an address."""

import hashlib
import io
import urllib.request
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxstyle.benchmark.measured_models import prepare_models
from jaxstyle.errors import UserError
from jaxstyle.evaluation.contestants import model_contestants
from jaxstyle.export.__main__ import main as export
from jaxstyle.inference import model_files, shipped_styles
from jaxstyle.inference.bundle import save_bundle
from jaxstyle.inference.model_files import find_model, model_name
from jaxstyle.inference.open_model import open_model
from jaxstyle.models import build_generator
from jaxstyle.models.examples import init_parameters
from jaxstyle.stylize import main as stylize

CONFIG = {"name": "realtime", "size": "tiny"}


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """The bytes of a bundle that has no name of its own."""
    shapes = jax.eval_shape(
        lambda key: init_parameters(build_generator(CONFIG), key, 64), jax.random.key(0)
    )
    path = tmp_path_factory.mktemp("model") / "a.safetensors"
    zeros = jax.tree.map(lambda s: np.zeros(s.shape, np.float32), shapes)
    save_bundle(path, zeros, {"generator": CONFIG}, dtype=np.float16)
    return path.read_bytes()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch, content):
    """The folder of an installation with the styles "cel" and "ink"; the current one is empty."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    for name in ("ink", "cel"):
        (folder / f"{name}.safetensors").write_bytes(content)
    (folder / "cel.jpg").touch()
    monkeypatch.setattr(shipped_styles, "FOLDER", folder)
    monkeypatch.setattr(model_files, "CACHE_FOLDER", tmp_path / "cache")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return folder


@pytest.fixture
def web(monkeypatch, content):
    """The bundle is at every address; gives its own, with checksum, and those asked for."""
    asked = []

    class Response(io.BytesIO):
        headers = {}  # noqa: RUF012

    def answer(opener, url, timeout):
        asked.append(url)
        return Response(content)

    monkeypatch.setattr(urllib.request.OpenerDirector, "open", answer)
    address = "https://example.com/v1/my%20ink.safetensors?download=true"
    return f"{address}#sha256={hashlib.sha256(content).hexdigest().upper()}", asked


def test_a_file_comes_before_a_style_that_ships(folder, monkeypatch, content):
    assert find_model("cel") == folder / "cel.safetensors"
    Path("cel").mkdir()
    assert find_model("cel") == folder / "cel.safetensors"
    Path("ink").write_bytes(content)
    assert find_model("ink") == Path("ink")
    monkeypatch.setenv("HOME", str(folder))
    assert find_model("~/cel.safetensors") == folder / "cel.safetensors"


@pytest.mark.parametrize("spec", ["col", "cel.safetensors", "../shipped/cel", "", "a" * 5000])
def test_an_unknown_model_is_told_with_those_that_ship(spec):
    with pytest.raises(UserError, match=r"no model at .*WORKDIR.*ships \(cel, ink\)") as caught:
        find_model(spec)
    assert "\n" not in str(caught.value)


def test_an_address_is_downloaded_once(web, tmp_path, content):
    url, asked = web
    for _ in range(2):
        path = find_model(url)
        assert path.read_bytes() == content
    assert asked == [url.partition("#")[0]]
    assert list((tmp_path / "cache").iterdir()) == [path]


def test_an_address_with_another_file_behind_it_is_refused(web, tmp_path):
    url, _ = web
    with pytest.raises(UserError, match=r"has the SHA-256 .* not 00000"):
        find_model(url.partition("#")[0] + "#sha256=" + "0" * 64)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("http://a.org/b.safetensors#sha256=" + "0" * 64, r"https:// only; write https://HOST/.*#"),
        ("s3://a/b.safetensors", "https:// only"),
        ("https://a.org/b.safetensors", r"write https://a.org/b.safetensors#sha256=DIGEST, with"),
        ("https://a.org/b.safetensors#sha256=00", "lacks its checksum"),
        ("https://a.org/#sha256=" + "0" * 64, "give the URL of a file"),
    ],
)
def test_addresses_that_cannot_be_trusted_are_refused(web, spec, message):
    with pytest.raises(UserError, match=message) as caught:
        find_model(spec)
    assert "\n" not in str(caught.value)
    assert web[1] == []


def test_a_model_without_a_name_is_called_like_its_file(web):
    url, _ = web
    assert [model_name(spec) for spec in ("cel", "a/b.safetensors", Path("c.d"))] == [
        "cel",
        "b",
        "c",
    ]
    assert open_model(url).metadata["name"] == "my ink"
    assert open_model("cel").metadata["name"] == "cel"


def test_the_evaluation_takes_them_all_with_names_of_their_own(web, folder):
    url, _ = web
    contestants = model_contestants(["cel", "mine=ink", url, f"theirs={url}"], [])
    assert [c.name for c in contestants] == ["cel", "mine", "my ink", "theirs"]
    assert contestants[1].bundle == folder / "ink.safetensors"
    assert contestants[2].bundle == contestants[3].bundle == find_model(url)


def test_the_benchmark_takes_them(tmp_path, folder, content):
    (model,) = prepare_models([], ["cel"], tmp_path)
    assert (model.name, model.bundle) == ("cel", folder / "cel.safetensors")
    (folder / "tiny.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="tiny is in --models and --model"):
        prepare_models(["tiny"], ["tiny"], tmp_path)


def test_an_export_does_not_replace_a_style_that_ships(folder, content, capsys):
    path = folder / "cel.safetensors"
    with pytest.raises(SystemExit):
        export(["cel", str(path), "--format=stablehlo", "--overwrite"])
    assert "is the model itself" in capsys.readouterr().err
    assert path.read_bytes() == content


def test_stylize_without_a_model_says_what_ships(capsys):
    with pytest.raises(SystemExit):
        stylize(["in.png", "out.png"])
    error = capsys.readouterr().err
    assert error.startswith("error: give a --model=MODEL: a style that ships (cel, ink), ")
    assert error.count("\n") == 1
    with pytest.raises(SystemExit):
        stylize(["--help"])
    assert "a style that ships (cel, ink)" in " ".join(capsys.readouterr().out.split())


def test_a_style_that_is_near_is_named():
    with pytest.raises(UserError, match=r"no model at cell: .*; did you mean 'cel'\?$"):
        find_model("cell")
    with pytest.raises(UserError) as refused:
        find_model("runs/demo")
    assert "did you mean" not in str(refused.value)
