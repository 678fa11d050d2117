"""The model card of the styles that ship."""

from pathlib import Path

import jax
import pytest

from jaxstyle.errors import UserError
from jaxstyle.inference import shipped_styles
from jaxstyle.inference.bundle import save_bundle
from jaxstyle.models import build_generator
from jaxstyle.models.examples import init_parameters
from jaxstyle.styles.listing import CREDIT
from tools.style_card import card, card_path, main
from tools.style_pictures import picture_file

NANO = {"name": "realtime", "size": "nano"}
DOCS = Path(__file__).parents[2] / "docs" / "styles"


@pytest.fixture(scope="module")
def parameters():
    return {
        styles: init_parameters(build_generator({**NANO, "styles": styles}), jax.random.key(0), 64)
        for styles in (1, 2)
    }


def ship(folder, parameters, name, metrics, styles=("",)):
    """What `tools.ship_style` leaves behind, with empty pictures."""
    metadata = {
        "generator": {**NANO, "styles": len(styles)},
        "name": name,
        "description": f"Looks {name} | grim.",
        "licence": "Apache-2.0",
        "credits": ["paintings, public domain", "photos, CC0"],
        "step": 1500,
        "config": {"generator": NANO, "batch_size": 8, "image_size": 128},
        "training": f"python -m jaxstyle.main --config=configs/{name}.py",
        "figures": metrics,
        "measured": {
            "styles": list(styles),
            "clips": ["walk"],
            "size": 256,
            "photos": 10,
            "art": [40] * len(styles),
            "frames": [48],
        },
    }
    save_bundle(folder / "package" / f"{name}.safetensors", parameters[len(styles)], metadata)
    docs = folder / "docs"
    docs.mkdir(exist_ok=True)
    for style in styles:
        for what in ("photos", "walk"):
            (docs / picture_file(name, what, style)).touch()
    (docs / picture_file(name, "mixes")).touch()
    (docs / f"{name}.md").write_text(f"- {name} loses faces.\n")
    (docs / "photos_and_clips.md").write_text("- walk.mp4: CC BY 3.0, by a walker.\n")


def test_the_card_has_what_is_known_of_every_style(tmp_path, parameters, capsys):
    warps = {"warp_ratio_1 on walk": 1.1, "warp_ratio_8 on walk": 2.456}
    ship(tmp_path, parameters, "cel", {"swd_ratio": 0.512, "edge_f1": 0.8, **warps})
    several = {"swd_ratio of dusk": 0.41, "swd_ratio of day": 0.777}
    ship(tmp_path, parameters, "two", several, styles=("dusk", "day"))
    options = [f"--package={tmp_path}/package", f"--docs={tmp_path}/docs"]
    assert main(options) == 0
    text = (tmp_path / "docs.md").read_text()
    assert capsys.readouterr().out == f"wrote {tmp_path}/docs.md\n"
    assert text.startswith("# Styles that ship\n")
    lines = text.splitlines()
    # The highest of each kind, marked where it is beyond its limit; a dash where one is unknown.
    overview = {line.split("](")[0]: line for line in lines if line.startswith("| [")}
    assert "| Looks cel \\| grim. | 0.512 | 2.46 ✗ | Apache-2.0 | " in overview["| [cel"]
    assert "| 0.777 ✗ | - | Apache-2.0 | " in overview["| [two"]
    assert "| photos | SWD to the art, x the photos' own | 0.512 | at most 0.6: kept |" in lines
    assert any(line.startswith("| day, photos | SWD") and "MISSED" in line for line in lines)
    assert any(
        line.startswith("| walk | warp") and "| 2.46 | at most 2.0" in line for line in lines
    )
    for expected in (
        "- cel loses faces.",
        CREDIT,
        "- walk.mp4: CC BY 3.0, by a walker.",
        "- Data: photos, CC0",
        "python -m jaxstyle.main --config=configs/two.py",
    ):
        assert expected in lines
    for picture in (tmp_path / "docs").glob("two*.jpg"):
        assert f"](docs/{picture.name})" in text
    assert "(docs/cel_photos.jpg)" in text
    assert "cel_mixes" not in text


def test_what_is_missing_is_told(tmp_path, parameters):
    package, docs = tmp_path / "package", tmp_path / "docs"
    with pytest.raises(UserError, match="no styles in"):
        card(package, docs)
    ship(tmp_path, parameters, "cel", {})
    for name, message in (
        ("cel.md", "cel.md what the style fails at"),
        ("photos_and_clips.md", "where the photos and clips come from"),
        ("cel_walk.jpg", "no picture .*cel_walk.jpg; write it with"),
    ):
        content = (docs / name).read_bytes()
        (docs / name).unlink()
        with pytest.raises(UserError, match=message):
            card(package, docs)
        (docs / name).write_bytes(content)
    save_bundle(package / "raw.safetensors", parameters[1], {"generator": NANO})
    with pytest.raises(UserError, match=r"raw\.safetensors has no figures; write it with"):
        card(package, docs)


def test_the_committed_card_is_what_the_command_writes():
    if not shipped_styles.names():
        assert not card_path(DOCS).exists()
        return
    written = card_path(DOCS).read_text(encoding="utf-8")
    assert written == card(shipped_styles.FOLDER, DOCS), "run python -m tools.style_card"
