import io

import numpy as np
import pytest
from PIL import Image

from jaxstyle.benchmark.plot import plot_png

pytestmark = pytest.mark.slow

MACHINE = {"cpu": "Some CPU", "cores": 2, "accelerator": None}


def colors(png):
    return np.unique(np.array(Image.open(io.BytesIO(png)).convert("RGB")).reshape(-1, 3), axis=0)


def test_the_plot_shows_each_contestant_in_its_colour(make_cell):
    sizes = [(64, 32), (128, 64)]
    cells = [make_cell(m, *s, jaxstyle=4.0, torch=60.0) for m in ("tiny", "small") for s in sizes]
    cells[0]["contestants"]["torch"] = {"failed": "out of memory"}
    found = colors(plot_png(cells, MACHINE)).tolist()
    assert [0x00, 0x72, 0xB2] in found
    assert [0xD5, 0x5E, 0x00] in found


def test_what_is_not_comparable_is_not_plotted(make_cell):
    cell = make_cell(jaxstyle=4.0, torch=60.0)
    with_torch = plot_png([cell], MACHINE)
    for kind in ("device", "end_to_end"):
        cell["contestants"]["torch"][kind]["comparable"] = False
    without = plot_png([cell], MACHINE)

    def orange(png):
        return (np.array(Image.open(io.BytesIO(png)).convert("RGB")) == [0xD5, 0x5E, 0]).all(-1)

    # Its legend remains.
    assert 0 < orange(without).sum() < orange(with_torch).sum()
