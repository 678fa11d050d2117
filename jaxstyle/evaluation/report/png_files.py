"""The plots and pictures as separate files, for papers and slides."""

import re
from collections.abc import Iterable, Sequence

from jaxstyle.evaluation.report import pictures
from jaxstyle.evaluation.report.pictures import Strip
from jaxstyle.evaluation.report.plots import plot_png, plots


def pngs(document: dict, strips: Sequence[Strip]) -> dict[str, bytes]:
    """The plots and pictures of the report as PNG, by file name.

    document: what report.json holds, as for `report_html`. For each content
    "contact_sheet_<content>.png" and, where there are consecutive frames, "strip_<content>.png" and
    "differences_<content>.png"; "plot_style_content.png", "plot_temporal.png" and
    "plot_quality_speed.png" where there are figures for them.
    """
    files = {f"{plot.name}.png": plot_png(plot) for plot in plots(document)}
    slugs = _slugs(strip.content for strip in strips)
    for strip, slug in zip(strips, slugs, strict=True):
        columns = pictures.in_order(strip.pictures, document)
        files[f"contact_sheet_{slug}.png"] = pictures.png(pictures.sheet(columns))
        if len(strip.frames["input"]) < 2:
            continue
        frames = pictures.in_order(strip.frames, document)
        maps = {
            f"{name}: change x {pictures.AMPLIFICATION}": pictures.difference_maps(batch)
            for name, batch in frames.items()
        }
        files[f"strip_{slug}.png"] = pictures.png(pictures.rows(frames))
        files[f"differences_{slug}.png"] = pictures.png(pictures.rows(maps))
    return files


def _slugs(names: Iterable[str]) -> list[str]:
    """Names as parts of file names, each different."""
    slugs = []
    for name in names:
        slug = stem = re.sub(r"[^\w.-]+", "_", name).strip("._") or "content"
        number = 1
        while slug in slugs:
            number += 1
            slug = f"{stem}_{number}"
        slugs.append(slug)
    return slugs
