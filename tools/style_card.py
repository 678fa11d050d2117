"""Writes docs/styles.md, the model card of the styles that ship: `python -m tools.style_card`.

What can be read from the bundles is: figures cannot drift from them. What a person has to say, what
a style fails at above all, is in DOCS/NAME.md, and where the photos and clips on the page come from
in DOCS/photos_and_clips.md.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from jaxstyle.errors import UserError, run_command, run_program
from jaxstyle.evaluation.footage import LONG_SPAN
from jaxstyle.files.atomic_file import write_whole
from jaxstyle.inference.bundle import Bundle, load_bundle
from jaxstyle.inference.shipped_styles import FOLDER
from jaxstyle.styles import limits
from jaxstyle.styles.listing import CREDIT
from tools.style_pictures import picture_file

_MEDIA = "photos_and_clips.md"

_INTRODUCTION = """\
# Styles that ship

<!-- Written by `python -m tools.style_card`; texts by hand are in {docs}/. -->

For who chooses a style, or asks what it learned from and where it fails.
[Back to the README](../README.md).

They come with the package, and go by their names wherever a command takes a model:

```
jaxstyle styles
jaxstyle live --model={name}
jaxstyle stylize in.mp4 out.mp4 --model={name}
```

list them, show a camera in a window, and stylize a film.

{credit}
"""

_MEASURED = """\
## How they were measured

What is measured and shown is the bundle as it ships, with its weights in float16. None of the
photos, clips and art here was trained on; but the painters and weights of the recipes were chosen
with these photos and clips in view, so that others may fare a little worse.

- **Style**: the sliced Wasserstein distance (SWD, Karras et al. 2018) of the stylized photos to
  held-out art of the style, all as squares, and the same as a multiple of the unstylized
  photos' own: 1 is no closer to the art than a photo. The limit is {swd}. Where the art is parts of
  one picture, they are few and the figure is rough. Training asks for a distance of the same kind
  to the art that it sees (`losses.patches`): the figure says that this holds on other photos and
  other art, and only the pictures say what it looks like.
- **Content**: MS-SSIM of luma (Wang et al. 2003) and the F1 of edges (Martin et al. 2004) against
  the photo, 1 for the photo itself. A style with outlines and flat tones must change both.
- **Steadiness**: the warp error (Lai et al. 2018) over 1 and over {long} frames, on frames from
  the middle of each real clip, their motion found by optical flow; as a multiple of the clip's
  own. The limit is {warp}. A blur would be steadier still: read it beside the content.

Photos are stylized at their own size and then made smaller for the sheets. Strips are crops of
consecutive frames at the clip's own size, the input above.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    args = _parser().parse_args(argv)
    return run_command(_write, args, interrupted="no card was written")


def card_path(docs: Path) -> Path:
    """Where the card is: beside the folder of its pictures, docs/styles.md."""
    return docs.with_name(f"{docs.name}.md")


def _write(args: argparse.Namespace) -> None:
    path = card_path(args.docs)
    write_whole(path, card(args.package, args.docs).encode())
    print(f"wrote {path}")


def card(package: Path, docs: Path) -> str:
    """The card, as Markdown.

    package: the folder of the bundles that `tools.ship_style` wrote. docs: that of their large
    pictures and the hand-written texts. Raises `UserError` if there is no bundle, or one was not
    written by that command, or a picture or a text is missing.
    """
    files = sorted(package.glob("*.safetensors"))
    if not files:
        raise UserError(f"no styles in {package}; ship one with python -m tools.ship_style")
    bundles = {path: load_bundle(path) for path in files}
    for path, bundle in bundles.items():
        if "measured" not in bundle.metadata:
            raise UserError(f"{path} has no figures; write it with python -m tools.ship_style")
    parts = [
        _INTRODUCTION.format(docs=docs.name, name=files[0].stem, credit=CREDIT),
        _overview(bundles),
        *(_section(path, bundle, docs) for path, bundle in bundles.items()),
        _how_measured(),
        "### The photos and clips",
        _hand_written(docs / _MEDIA, "where the photos and clips come from, with their licences"),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _overview(bundles: Mapping[Path, Bundle]) -> str:
    rows = [["style", "", "SWD ratio", "warp ratio, worst", "licence", "size"]]
    for path, bundle in bundles.items():
        said = bundle.metadata
        rows.append(
            [
                f"[{path.stem}](#{path.stem})",
                said["description"],
                _worst(said, limits.OF_PHOTOS),
                _worst(said, limits.OF_CLIPS),
                said["licence"],
                f"{path.stat().st_size / 1000:,.0f} kB",
            ]
        )
    explained = "Ratios are to the unstylized input's own; ✗ marks one beyond its limit, see below."
    return f"{_table(rows)}\n\n{explained}"


def _worst(said: Mapping[str, Any], metrics: Sequence[limits.StyleMetric]) -> str:
    """The highest of the figures with a limit, over styles and clips."""
    found = [(f, v) for _, f, v in limits.rows(said) if f in metrics and f.limit is not None]
    known = [(f, v) for f, v in found if v is not None]
    if len(known) < len(found):
        return "-"
    metric, highest = max(known, key=lambda pair: pair[1])
    return _marked(metric, highest)


def _marked(metric: limits.StyleMetric, value: float | None) -> str:
    return limits.told(value) + ("" if limits.keeps(metric, value) else " ✗")


def _section(path: Path, bundle: Bundle, docs: Path) -> str:
    said, name = bundle.metadata, path.stem
    measured = said["measured"]
    parts = [f"## {name}", said["description"]]
    for style in measured["styles"]:
        if style:
            parts.append(f"### {name}: {style}")
        photos = f"photos, each beside what {style or name} makes of it"
        parts.append(_picture(docs, picture_file(name, "photos", style), photos))
        for clip in measured["clips"]:
            told = f"consecutive frames of {clip}, the input above {style or name}"
            parts.append(_picture(docs, picture_file(name, clip, style), told))
    if len(measured["styles"]) > 1:
        parts.append(f"### {name}: mixes")
        order = ", ".join(measured["styles"])
        parts.append(
            f"On the diagonal {order}, above it two at 50 % each, in the lower left the photo."
        )
        parts.append(_picture(docs, picture_file(name, "mixes"), "the styles, and pairs of them"))
    parts += [f"### {name}: figures", _metrics(said)]
    parts += [f"### {name}: data and training", _training(bundle)]
    failures = _hand_written(docs / f"{name}.md", "what the style fails at")
    parts += [f"### {name}: known failures", failures]
    return "\n\n".join(parts)


def _metrics(said: Mapping[str, Any]) -> str:
    rows = [["on", "figure", "value", "limit"]]
    for told, metric, value in limits.rows(said):
        rows.append([told, metric.label, limits.told(value), limits.verdict(metric, value)])
    measured = said["measured"]
    counts = [f"{measured['photos']} photos"]
    for style, count in zip(measured["styles"], measured["art"], strict=True):
        counts.append(f"{count} pictures of {style or 'the style'}")
    for clip, count in zip(measured["clips"], measured["frames"], strict=True):
        counts.append(f"{count} frames of {clip}")
    return f"{_table(rows)}\n\nMeasured on {', '.join(counts)}, at {measured['size']} px."


def _training(bundle: Bundle) -> str:
    said, config = bundle.metadata, bundle.metadata["config"]
    count = sum(leaf.size for leaf in jax.tree.leaves(bundle.parameters))
    generator = config["generator"]
    size = f" {generator['size']}" if "size" in generator else ""
    lines = [f"- Licence: {said['licence']}"]
    lines += [f"- Data: {credit}" for credit in said["credits"]]
    lines.append(
        f"- Generator: {generator['name']}{size}, {count:,} parameters, after {said['step']:,} "
        f"steps of batch {config['batch_size']} at {config['image_size']} px"
    )
    return "\n".join(lines) + f"\n\n```\n{said['training']}\n```"


def _how_measured() -> str:
    return _MEASURED.format(
        long=LONG_SPAN,
        swd=limits.OF_PHOTOS[0].limit,
        warp=limits.OF_CLIPS[0].limit,
    )


def _picture(docs: Path, file: str, told: str) -> str:
    if not (docs / file).is_file():
        raise UserError(f"no picture {docs / file}; write it with python -m tools.ship_style")
    return f"![{told}]({docs.name}/{file})"


def _hand_written(path: Path, told: str) -> str:
    text = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
    if not text:
        raise UserError(f"write into {path} {told}")
    return text


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.style_card",
        description="Writes the model card of the styles that ship, from their bundles and "
        "pictures and from what is written by hand: DOCS/NAME.md says what a style fails at, "
        f"DOCS/{_MEDIA} where photos and clips come from.",
    )
    parser.add_argument(
        "--package",
        type=Path,
        default=FOLDER,
        metavar="DIR",
        help="where the bundles are, by default beside this program",
    )
    parser.add_argument(
        "--docs",
        type=Path,
        default=Path("docs/styles"),
        metavar="DIR",
        help="where the pictures and texts are; the card is DIR.md (docs/styles)",
    )
    return parser


if __name__ == "__main__":
    run_program(main)
