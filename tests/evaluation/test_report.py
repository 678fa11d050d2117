import base64
import io
import itertools
import math
import re
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from jaxstyle.evaluation.report import Strip, gallery, pngs, report_html
from jaxstyle.evaluation.report.columns import content_columns, summary_columns
from jaxstyle.evaluation.report.labels import label_points
from jaxstyle.evaluation.report.numbers import aligned, three_digits
from jaxstyle.evaluation.report.pictures import difference_maps
from jaxstyle.evaluation.report.plots import plot_png, plot_svg, plots

DASH = "—"
HOSTILE = "<script>alert(1)</script>&\"'$x$"
METRICS = {
    "swd": ("SWD", "lower", "style", ""),
    "edge_f1": ("edge F1", "higher", "content", ""),
    "psnr/truth": ("PSNR to the truth", "higher", "truth", "dB"),
    "warp_error/short": ("warp error", "lower", "temporal", ""),
    "warp_error/short/relative": ("warp error, relative", "lower", "temporal", ""),
}


def make_document(kinds, contents=("scenes", "clip.mp4"), seed=0):
    rng = np.random.default_rng(seed)
    return {
        "jaxstyle": "0.1.0",
        "date": "2026-01-02T03:04:05+00:00",
        "command": "python -m jaxstyle.evaluate --model=one",
        "machine": {"cpu": "Some CPU", "cores": 2, "accelerator": None},
        "contents": [
            {"name": c, "frames": 64, "width": 16, "height": 12, "clips": 2, "truth": False}
            for c in contents
        ],
        "style": {"name": "paintings/", "images": 43},
        "metrics": {
            name: dict(zip(("label", "better", "family", "unit"), fields, strict=True))
            | {"about": f"what {name} is"}
            for name, fields in METRICS.items()
        },
        "contestants": [
            {
                "name": name,
                "kind": kind,
                "parameters": 106336 if kind == "model" else None,
                "gflop": {"640x360": 3.25 + i} if kind == "model" else None,
                "frames_per_second": None if kind == "results" else 100.0 / (i + 1),
                "latency_ms": None if kind == "results" else 10.0 * (i + 1),
            }
            for i, (name, kind) in enumerate(kinds.items())
        ],
        "figures": {
            name: {c: {m: float(rng.lognormal(-2, 2)) for m in METRICS} for c in contents}
            for name in kinds
        },
        "notes": ["FID: 64 images are too few."],
    }


def make_strip(content, names, count=3, size=(12, 16)):
    rng = np.random.default_rng(1)
    frames, pictures = (
        {name: rng.integers(0, 256, (count, *size, 3), np.uint8) for name in ("input", *names)}
        for _ in range(2)
    )
    return Strip(content, frames, pictures)


class Page(HTMLParser):
    """Tables as rows of cells; text, tags and attributes of the whole page."""

    def __init__(self, html):
        super().__init__()
        self.tables, self.tags, self.attributes, self.text, self.bold = [], [], [], "", set()
        self._cell = None
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attributes]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self._cell = ""
        elif tag == "strong":
            self.bold.add(
                (len(self.tables) - 1, len(self.tables[-1]) - 1, len(self.tables[-1][-1]))
            )

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.tables[-1][-1].append(self._cell.strip())
            self._cell = None

    def handle_data(self, data):
        self.text += data
        if self._cell is not None:
            self._cell += data

    def metrics(self, table):
        """{contestant: {label: cell}} of a table of figures."""
        _, labels, *rows = self.tables[table]
        return {name: dict(zip(labels, cells, strict=True)) for name, *cells in rows if cells}


def without_arrow(metrics):
    return {
        name: {label.rstrip("↓↑").strip(): cell for label, cell in row.items()}
        for name, row in metrics.items()
    }


KINDS = {"one": "model", "two": "model", "peer": "results", "input": "baseline"}


@pytest.fixture(scope="module")
def document():
    document = make_document(KINDS)
    document["figures"]["peer"]["clip.mp4"] = dict.fromkeys(METRICS)
    for name in KINDS:
        document["figures"][name]["clip.mp4"]["psnr/truth"] = None
    return document


@pytest.fixture(scope="module")
def strips():
    return [make_strip("scenes", ["one", "two", "peer", "truth"])]


@pytest.fixture(scope="module")
def html(document, strips):
    return report_html(document, strips)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


@pytest.mark.slow
def test_every_figure_is_in_its_cell(document, page):
    for table, content in ((2, "scenes"), (3, "clip.mp4")):
        cells = without_arrow(page.metrics(table))
        assert list(cells) == list(KINDS)
        for name, (label, _, _, unit) in itertools.product(KINDS, METRICS.values()):
            metric = next(m for m, fields in METRICS.items() if fields[0] == label)
            value = document["figures"][name][content][metric]
            head = f"{label} [{unit}]" if unit else label
            if content == "clip.mp4" and metric == "psnr/truth":
                assert head not in cells[name]
            elif value is None:
                assert cells[name][head] == DASH
            else:
                assert float(cells[name][head]) == pytest.approx(value, rel=0.005)


def test_the_summary_holds_means_and_costs(document, page):
    means, costs = (without_arrow(page.metrics(table)) for table in (0, 1))
    of_one = document["figures"]["one"]
    for metric, label in (("swd", "SWD"), ("warp_error/short/relative", "warp error, relative")):
        mean = sum(of_one[content][metric] for content in of_one) / 2
        assert float(means["one"][label]) == pytest.approx(mean, rel=0.005)
    assert "warp error" not in means["one"]
    assert costs["two"] == {
        "parameters": "106,336",
        "computation at 640x360 [GFLOP]": "4.25",
        "speed [frames/s]": "50.0",
        "latency [ms]": "20.0",
    }
    assert set(costs["peer"].values()) == {DASH}
    # Measured on one content of two.
    assert means["peer"]["SWD"].endswith("†")


def test_the_direction_is_next_to_the_name(page):
    heads = page.tables[0][1]
    assert "SWD\xa0↓" in heads
    assert "edge F1\xa0↑" in heads


def test_bold_is_the_best_model_in_the_right_direction(page):
    checked = 0
    for table in (0, 2, 3):
        _, labels, *_ = rows = page.tables[table]
        place = {row[0]: index for index, row in enumerate(rows)}
        for column, label in enumerate(labels, start=1):
            values = {name: float(rows[place[name]][column]) for name in ("one", "two")}
            best = (min if label.endswith("↓") else max)(values, key=values.get)
            bold = [name for name, row in place.items() if (table, row, column) in page.bold]
            assert bold == [best]
            checked += 1
    assert checked > 10


def test_a_partial_mean_and_a_lone_model_do_not_compete():
    document = make_document({"one": "model", "two": "model", "three": "model"})
    metrics = document["figures"]
    for name, value in (("one", 0.5), ("two", 0.3), ("three", 0.1)):
        metrics[name] = {content: {"swd": value} for content in metrics[name]}
    metrics["three"]["clip.mp4"]["swd"] = None
    swd = summary_columns(document)[0]
    assert swd.partial == {"three"}
    assert swd.best(["one", "two", "three"]) == {"two"}
    assert swd.best(["one"]) == set()
    # Equal as printed: both.
    metrics["one"]["scenes"]["swd"], metrics["two"]["scenes"]["swd"] = 0.12341, 0.12339
    assert content_columns(document, "scenes")[0].best(["one", "two"]) == {"one", "two"}


def test_the_page_loads_nothing(html, page):
    addresses = [v for _, name, v in page.attributes if name in ("src", "href", "xlink:href")]
    assert len(addresses) > 20
    assert all(address.startswith(("data:image/", "#")) for address in addresses)
    assert set(re.findall(r"url\((.)", html)) <= {"#"}
    assert "@import" not in html
    names = [value for _, name, value in page.attributes if name.startswith("xmlns")]
    assert len(re.findall("https?://", html)) == len(names)


def test_tables_and_pictures_are_described(page):
    alts = [value for tag, name, value in page.attributes if tag == "img" and name == "alt"]
    assert len(alts) == page.tags.count("img")
    assert alts.count("") == 1  # the empty frame in which pictures are enlarged
    svgs = page.tags.count("svg")
    assert svgs == 3
    assert sum(tag == "svg" and name == "aria-label" for tag, name, _ in page.attributes) == svgs
    assert page.tags.count("th") == sum(
        tag == "th" and name == "scope" for tag, name, _ in page.attributes
    )
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_notes_glossary_and_command_are_there(document, page):
    assert document["notes"][0] in page.text
    assert document["command"] in page.text
    assert "Some CPU" in page.text
    for metric in document["metrics"].values():
        assert metric["about"] in page.text


def test_pictures_survive_in_the_page(html, strips):
    data = re.search(r'base64,([^"]+)" alt="scenes: two, picture 2"', html)[1]
    found = np.array(Image.open(io.BytesIO(base64.b64decode(data)))).astype(int)
    assert np.abs(found - strips[0].pictures["two"][1]).mean() < 10  # noise at JPEG's quality 90


@pytest.mark.slow
def test_what_users_give_is_text():
    document = make_document({HOSTILE: "model", "浮世絵": "results"}, contents=[HOSTILE])
    document |= {"command": HOSTILE, "notes": [HOSTILE]}
    document["style"]["name"] = document["machine"]["cpu"] = HOSTILE
    page = Page(report_html(document, [make_strip(HOSTILE, [HOSTILE])]))
    assert page.tags.count("script") == 1
    assert page.text.count(HOSTILE) >= 10
    svgs = {plot.name: plot_svg(plot) for plot in plots(document)}
    assert "浮世絵" in svgs["plot_style_content"]
    assert "<script" not in "".join(svgs.values())


def test_one_contestant_and_one_picture_without_motion_or_style():
    document = make_document({"one": "model"}, contents=["photo.jpg"])
    document |= {"style": None, "notes": []}
    metrics = document["figures"]["one"]["photo.jpg"]
    metrics |= {"warp_error/short": None, "warp_error/short/relative": None}
    document["contents"][0] |= {"frames": 1, "clips": 0}
    page = Page(report_html(document, [make_strip("photo.jpg", ["one"], count=1)]))
    assert not page.bold
    assert "1 frame of 16x12" in page.text
    assert "What changes" not in page.text
    assert page.tags.count("svg") == 2


def test_nothing_measured_still_makes_a_page():
    document = make_document({"one": "model"})
    document["figures"] = {}
    document["contestants"][0] |= dict.fromkeys(
        ("parameters", "gflop", "frames_per_second", "latency_ms")
    )
    page = Page(report_html(document, []))
    assert "svg" not in page.tags
    assert "None" not in {cell for table in page.tables for row in table for cell in row}


def test_what_was_not_asked_for_has_no_table_and_the_truth_is_a_style():
    document = make_document({"one": "model"}, contents=("scenes",)) | {"style": None}
    document["contents"][0]["truth"] = True
    document["contestants"][0] |= dict.fromkeys(
        ("parameters", "gflop", "frames_per_second", "latency_ms")
    )
    page = Page(report_html(document, []))
    assert "What they cost" not in page.text
    assert "Style reference: the true stylized frames, where they are known." in page.text


def test_nan_is_refused():
    document = make_document({"one": "model"})
    document["figures"]["one"]["scenes"]["swd"] = math.nan
    with pytest.raises(ValueError, match="finite"):
        report_html(document, [])


def test_too_many_pixels_are_made_fewer(monkeypatch):
    document, strip = make_document({"one": "model"}), make_strip("scenes", ["one"])
    # 2 contestants, 3 pictures, 3 frames and 2 maps of 12x16.
    monkeypatch.setattr(gallery, "_MOST_PIXELS", 2 * 8 * 12 * 16 // 4)
    html = gallery.gallery(document, [strip])
    for data in re.findall(r"image/jpeg;base64,([^\"]+)", html):
        assert Image.open(io.BytesIO(base64.b64decode(data))).size == (8, 6)


def test_pngs_are_the_plots_and_pictures(document, strips):
    files = pngs(document, [*strips, make_strip("a/<b>.mp4", ["one"], count=1)])
    images = {name: Image.open(io.BytesIO(data)) for name, data in files.items()}
    assert set(images) == {
        "plot_style_content.png",
        "plot_temporal.png",
        "plot_quality_speed.png",
        "contact_sheet_scenes.png",
        "strip_scenes.png",
        "differences_scenes.png",
        "contact_sheet_a_b_.mp4.png",
    }
    sheet = np.array(images["contact_sheet_scenes.png"])
    # The columns: input, one, two, peer, truth; below each other the pictures.
    expected = strips[0].pictures["two"][2]
    windows = np.lib.stride_tricks.sliding_window_view(sheet, expected.shape)[:, :, 0]
    assert (windows == expected).all((-1, -2, -3)).sum() == 1
    assert sheet.shape[1] == 5 * 16 + 4 * 4


def test_difference_maps_show_the_amplified_change():
    frames = np.full((3, 2, 4, 3), 100, np.uint8)
    frames[1, :, 1] = (106, 97, 103)  # 4 grey levels in the mean
    frames[1, :, 2] = 180
    maps = difference_maps(frames)
    colors = matplotlib.colormaps["magma"]
    assert maps.shape == (2, 2, 4, 3)
    for change, column in ((0, 0), (4 * 8, 1), (255, 2), (0, 3)):
        expected = np.round(255 * np.array(colors(change / 255))[:3])
        np.testing.assert_allclose(maps[:, :, column], np.broadcast_to(expected, (2, 2, 3)), atol=1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"one": np.zeros((3, 12, 16, 3), np.uint8)},
        {"input": np.zeros((1, 4, 4, 3), np.uint8), "one": np.zeros((1, 4, 5, 3), np.uint8)},
        {"input": np.zeros((1, 4, 4, 3), np.float32)},
    ],
)
def test_strips_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ValueError, match="the strip of clip"):
        Strip("clip", wrong, wrong)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.12, "0.120"),
        (0.9996, "1.00"),
        (-12.345, "-12.3"),
        (99.96, "100"),
        (123456.7, "123457"),
        (0.000123, "0.000123"),
        (0.0000123, "1.23e-05"),
    ],
)
def test_three_significant_digits(value, text):
    assert three_digits(value) == text


def test_decimal_points_are_in_one_line():
    texts = aligned(["0.123", "12.3", "100"])
    assert len({len(text) for text in texts[1:]}) == 2
    # From the right, each has a point, or its narrow blank, at the same place.
    assert {text[-4] for text in texts} == {".", "\u2008"}
    assert [float(text) for text in texts] == [0.123, 12.3, 100]


def test_names_cover_neither_points_nor_each_other():
    figure = Figure(layout="constrained")
    panel = figure.subplots()
    places = [(0.5, 0.5), (0.5, 0.5), (0.52, 0.51), (0.9, 0.5), (0.1, 0.9)]
    panel.plot(*zip(*places, strict=True), "o")
    panel.set(xlim=(0, 1), ylim=(0, 1))
    figure.draw_without_rendering()
    label_points(panel, [(x, y, f"a long name {i}") for i, (x, y) in enumerate(places)], 9)
    # Of the letters; an annotation's own extent includes the line that leads to the point.
    letters = [Text.get_window_extent(text) for text in panel.texts]
    assert len(letters) == len(places)
    for a, b in itertools.combinations(letters, 2):
        assert not a.overlaps(b)
    for box in letters:
        assert panel.bbox.fully_containsx(box.x0)
        assert panel.bbox.fully_containsx(box.x1)
        assert not any(box.contains(*at) for at in panel.transData.transform(places))


def test_a_plot_of_temporal_figures_says_what_is_missing(document):
    plot = next(plot for plot in plots(document) if plot.name == "plot_temporal")
    svg = plot_svg(plot)
    value = document["figures"]["one"]["clip.mp4"]["warp_error/short/relative"]
    assert f">{three_digits(value)}<" in svg
    assert f">{DASH}<" in svg
    assert Image.open(io.BytesIO(plot_png(plot))).format == "PNG"
