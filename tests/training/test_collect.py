"""The command that collects the data of the styles that ship, on pictures that are made up here."""

import runpy
from pathlib import Path

import av
import numpy as np
import pytest

from jaxstyle.media.contact_sheet import write_png
from jaxstyle.media.images import read_image

SCRIPT = Path(__file__).parents[2] / "configs/styles/collect.py"


@pytest.fixture(scope="module")
def collect():
    return runpy.run_path(str(SCRIPT))


def write_film(path, count):
    """Frame i of the film is of the grey 20 i."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as film:
        stream = film.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        for i in range(count):
            frame = np.full((16, 32, 3), 20 * i, np.uint8)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        film.mux(stream.encode())


@pytest.fixture
def folder(collect, tmp_path):
    """All that the command asks for; no two pictures are the same."""
    rng = np.random.default_rng(0)
    paintings = collect["_PAINTED"] + collect["_HELD_OUT_PAINTED"]
    names = [
        *collect["_PHOTOS"],
        *collect["_HELD_OUT_PHOTOS"],
        *map(collect["_PAINTINGS"].format, paintings),
        *(file for file, _, _ in collect["_SINGLE"].values()),
        *(f"{collect['_CARTOON']}/{episode}_1.png" for episode in ("cycling", "school", "spring")),
        *(
            f"{look}/{i}.jpg"
            for looks in collect["_GALLERY"].values()
            for look in looks
            for i in range(5)
        ),
        *(f"{p}/{Path(p).name}_{i}.png" for p in collect["_GALLERY_PHOTOS"] for i in range(2)),
    ]
    for name in names:
        path = tmp_path / "media" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = rng.integers(0, 256, (21, 42, 3), np.uint8)
        # A name's ending does not matter to what reads it.
        write_png(path.with_suffix(".png"), picture)
        path.with_suffix(".png").rename(path)
    for film in collect["_FILMS"]:
        write_film(tmp_path / "media" / film, 12)
    write_film(tmp_path / "media" / collect["_WEBCAM"] / "yes.mkv", 12)
    return tmp_path


def fields(folder, name="field"):
    """What a picture was cut into, by its number."""
    paths = folder.glob(f"{name}_*.png")
    return {int(path.stem.removeprefix(f"{name}_")): read_image(path) for path in paths}


def joined(parts, rows, columns):
    """Side by side, row by row."""
    strips = [[parts.pop(columns * r + c) for c in range(columns)] for r in range(rows)]
    assert not parts
    return np.concatenate([np.concatenate(strip, axis=1) for strip in strips])


def test_nothing_that_is_held_out_is_trained_on(collect, folder, capsys):
    out = folder / "data"
    assert collect["main"]([str(folder / "media"), f"--out={out}"]) == 0
    counts = {}
    for line in capsys.readouterr().out.splitlines():
        path, told = line.split(": ")
        counts[str(Path(path).relative_to(out))] = int(told.split()[0])
    one_folder = {"hiroshige", "tarot", "crane", "wright", "busch", "heath_robinson"}
    assert counts == {
        **dict.fromkeys(one_folder | {"watercolours", "pyle"}, 4),
        **dict.fromkeys({f"held_out/{name}" for name in one_folder}, 1),
        "held_out/watercolours": 1,
        "held_out/pyle": 1,
        "rackham": 8,
        "held_out/rackham": 2,
        # Five of one folder, and of the other five and those above.
        "impressionists": 28,
        "held_out/impressionists": 6,
        "gallery_content": 9 + sum(collect["_FILMS"].values()) + 4 + 1,
        "content": 9 + sum(collect["_FILMS"].values()),
        "cartoon": 1,
        "paintings": 4 * 18,
        "wave": 4,
        "starry_night": 8,
        "held_out/photos": 10,
        "held_out/cartoon": 2,
        "held_out/paintings": 4 * 6,
        "held_out/wave": 4,
        "held_out/starry_night": 7,
    }
    pictures = {
        which: {p.read_bytes() for p in out.rglob("*.*") if ("held_out" in p.parts) == which}
        for which in (False, True)
    }
    assert not pictures[False] & pictures[True]
    # Of a single picture no two fields that meet along an edge are trained on.
    white = {"wave": {0, 2, 5, 7}, "starry_night": {0, 2, 4, 6, 8, 10, 12, 14}}
    for name, (file, rows, columns) in collect["_SINGLE"].items():
        trained, held_out = fields(out / name), fields(out / "held_out" / name)
        assert set(trained) == white[name]
        picture = read_image(folder / "media" / file)
        np.testing.assert_array_equal(joined(trained | held_out, rows, columns), picture)
    for part, chosen in (("paintings", "_PAINTED"), ("held_out/paintings", "_HELD_OUT_PAINTED")):
        for name in collect[chosen]:
            painting = read_image(folder / "media" / collect["_PAINTINGS"].format(name))
            quarters = fields(out / part, name)
            np.testing.assert_array_equal(joined(quarters, 2, 2), painting)
    # Frames are spread over the film.
    greys = [read_image(out / f"content/bigbuckbunny_{k}.png").mean() for k in range(2)]
    np.testing.assert_allclose(greys, [60, 180], atol=4)


def test_what_is_there_already_is_left_alone(collect, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        collect["main"]([str(tmp_path / "media"), f"--out={tmp_path}"])
    assert stop.value.code == 1
    assert capsys.readouterr().err == (
        f"error: {tmp_path} is there already; remove it, or give another --out\n"
    )


def test_a_file_that_is_missing_is_told_in_one_line(collect, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        collect["main"]([str(tmp_path / "media"), f"--out={tmp_path / 'data'}"])
    assert stop.value.code == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert f"there is no {tmp_path}/media/photos/kodak/kodim01.png; is" in told


def test_it_says_how_it_is_called(collect, capsys):
    with pytest.raises(SystemExit) as stop:
        collect["main"](["--help"])
    assert stop.value.code == 0
    assert "MEDIA" in capsys.readouterr().out
