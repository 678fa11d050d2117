"""`python -m jaxstyle.styles`: what a person reads of the styles that ship."""

import base64
import re
from html.parser import HTMLParser

import jax
import numpy as np
import pytest
from PIL import Image

from jaxstyle.inference import shipped_styles
from jaxstyle.inference.bundle import save_bundle
from jaxstyle.models import build_generator
from jaxstyle.models.examples import init_parameters
from jaxstyle.styles.__main__ import main

ODD = "<script>alert('ink')</script> & co"
STYLES = {
    "cel": {
        "description": "Flat colours, as in drawn films.",
        "licence": "CC0-1.0",
        "credits": ["Photos: 900 of a park (CC0)", "Drawings: rendered scenes (Apache-2.0)"],
        "figures": {
            "edge_f1": 0.9,
            "swd": 0.2,
            "swd_ratio": 0.6234,
            "warp_ratio_1 on walk": 1,
            "warp_ratio_8 on walk": 2.4,
        },
        "measured": {"styles": [""], "clips": ["walk"]},
    },
    # Not by tools.ship_style: its figures are told as they are.
    "ink": {
        "description": ODD,
        "licence": ODD,
        "credits": [ODD],
        "styles": ["brush", "pen"],
        "figures": {"warmth": 0.51234, "swd": "low"},
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("styles")
    for name, metadata in STYLES.items():
        config = {"name": "realtime", "size": "tiny", "styles": len(metadata.get("styles", "1"))}
        shapes = jax.eval_shape(
            lambda key, config=config: init_parameters(build_generator(config), key, 64),
            jax.random.key(0),
        )
        zeros = jax.tree.map(lambda s: np.zeros(s.shape, np.float32), shapes)
        path = folder / f"{name}.safetensors"
        save_bundle(path, zeros, {"name": name, "generator": config, **metadata})
    Image.new("RGB", (64, 32), (200, 30, 60)).save(folder / "cel.jpg")
    return folder


@pytest.fixture(autouse=True)
def _ships(folder, monkeypatch):
    monkeypatch.setattr(shipped_styles, "FOLDER", folder)


def test_the_list_tells_all_there_is(folder, capsys):
    assert main([]) == 0
    text = capsys.readouterr().out
    assert "NAME is one of: cel, ink\n" in text
    assert "python -m jaxstyle.stylize 0 window --model=NAME" in text
    *_, cel, ink = text.strip().split("\n\n")
    assert cel.startswith("cel: Flat colours, as in drawn films.\n")
    size = (folder / "cel.safetensors").stat().st_size / 1e6
    for title, value in {
        "size": f"{size:.2f} MB",
        "licence": "CC0-1.0",
        "data": "Photos: 900 of a park (CC0)",
        "picture": str(folder / "cel.jpg"),
    }.items():
        assert re.search(rf"^  {title} +{re.escape(value)}$", cel, re.MULTILINE)
    assert "Drawings: rendered scenes (Apache-2.0)" in cel
    assert "gives the credits that stand under its data" in " ".join(text.split())
    # In reading order, with what it means.
    assert [line.strip() for line in cel.partition("figures")[2].splitlines()[:-1]] == [
        "photos:",
        "0.623  SWD to the art, x the photos' own; lower is better, at most 0.6: MISSED",
        "0.2    SWD to the art; lower is better",
        "-      MS-SSIM to the photo; higher is better",
        "0.9    edge F1 against the photo; higher is better",
        "walk:",
        "1      warp error over 1 frame, x the clip's own; lower is better, at most 2.0: kept",
        "2.4    warp error over 8 frames, x the clip's own; lower is better, at most 2.0: MISSED",
    ]
    assert re.search(r"^  figures +swd low\n +warmth 0\.512$", ink, re.MULTILINE)
    assert re.search(r"^  styles +brush, pen$", ink, re.MULTILINE)
    assert re.search(r"^  picture +none$", ink, re.MULTILINE)


def test_only_the_named_styles_are_shown(tmp_path, capsys):
    assert main(["ink", f"--out={tmp_path}/page.html"]) == 0
    assert re.findall(r'section id="(\w+)"', (tmp_path / "page.html").read_text()) == ["ink"]
    capsys.readouterr()
    assert main(["cel"]) == 0
    text = capsys.readouterr().out
    assert "\ncel: Flat" in text
    assert "\nink: " not in text
    with pytest.raises(SystemExit):
        main(["cel", "oil"])
    assert capsys.readouterr().err == "error: no style 'oil' ships; there are: cel, ink\n"


class Page(HTMLParser):
    """The text of a page, and its elements with their attributes."""

    def __init__(self, html):
        super().__init__()
        self.text, self.elements = "", []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


def test_the_page_has_the_pictures_and_loads_nothing(folder, tmp_path, capsys):
    path = tmp_path / "page.html"
    assert main([f"--out={path}"]) == 0
    assert str(path) in capsys.readouterr().out
    page = Page(path.read_text("utf-8"))
    (picture,) = [attributes for tag, attributes in page.elements if tag == "img"]
    kind, _, data = picture["src"].partition(",")
    assert kind == "data:image/jpeg;base64"
    assert base64.b64decode(data) == (folder / "cel.jpg").read_bytes()
    assert "cel" in picture["alt"]
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.elements}
    targets = [attributes["href"] for _, attributes in page.elements if "href" in attributes]
    assert targets == ["#cel", "#ink"]
    for line in (STYLES["cel"]["description"], *STYLES["cel"]["credits"], "at most 0.6: MISSED"):
        assert line in page.text
    assert "gives the credits that stand under its data" in page.text
    # The description, the licence and the data.
    assert page.text.count(ODD) == 3


def test_a_page_is_replaced_only_when_asked(tmp_path, capsys):
    path = tmp_path / "page.html"
    path.write_text("mine")
    for out, message in (
        (path, "exists; --overwrite replaces it"),
        (tmp_path / "none" / "page.html", "there is no folder"),
        (tmp_path / "page.txt", "ends in .html"),
    ):
        with pytest.raises(SystemExit):
            main([f"--out={out}"])
        assert message in capsys.readouterr().err
    assert path.read_text() == "mine"
    assert main([f"--out={path}", "--overwrite"]) == 0
    assert path.read_text().startswith("<!DOCTYPE html>")


def test_an_installation_without_styles_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shipped_styles, "FOLDER", tmp_path)
    assert main([]) == 0
    assert capsys.readouterr().out == "no styles ship with this installation\n"


def test_a_damaged_bundle_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shipped_styles, "FOLDER", tmp_path)
    (tmp_path / "cel.safetensors").write_bytes(b"half")
    with pytest.raises(SystemExit):
        main([])
    assert "cel.safetensors is not a readable .safetensors file" in capsys.readouterr().err
