"""Ships a style: measures a trained bundle and puts it, with its pictures, into the package.

For developers: `python -m tools.ship_style runs/cel/model.safetensors --photos=... --art=...`.
"""

import argparse
import dataclasses
import itertools
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from jaxstyle.data.sources import open_source
from jaxstyle.data.video import VideoFrames
from jaxstyle.errors import UserError, run_command, run_program
from jaxstyle.evaluation.contents import (
    Content,
    check_content,
    check_style,
    open_content,
    open_style,
)
from jaxstyle.evaluation.contestants import in_batches
from jaxstyle.evaluation.footage import evenly_spaced
from jaxstyle.files.atomic_file import make_folder, write_whole
from jaxstyle.inference.bundle import Bundle, load_bundle, save_bundle
from jaxstyle.inference.engine import Stylizer, keep_compiled_programs
from jaxstyle.inference.open_model import open_model
from jaxstyle.inference.settings import Settings
from jaxstyle.inference.shipped_styles import FOLDER
from jaxstyle.inference.styles import style_names
from jaxstyle.styles import limits
from tools.measure_style import measure_style
from tools.style_pictures import (
    clip_strip,
    jpeg_within,
    mix_sheet,
    photo_sheet,
    picture_file,
    small_picture,
)

_DETAILS = """\
Into --package go the bundle, in float16 and without its discriminator, and a small picture; into
--docs the large pictures. What the style fails at is for a person to write, into DOCS/NAME.md;
then `python -m tools.style_card` writes the page.

examples:
  python -m tools.ship_style runs/cel/model.safetensors --photos=held_out/ --art=scenes \\
      --clip=walk.mp4 --clip=street.mp4 \\
      --training="python -m jaxstyle.main --config=configs/cel.py --workdir=runs/cel"
  a bundle of several styles, each with its own art:
    ... --art=ink=held_out/ink --art=wave=held_out/wave ...
"""

# In bytes.
_MOST_BUNDLE = 3_000_000
_MOST_SMALL, _MOST_SHEET, _MOST_STRIP = 60_000, 700_000, 300_000
# Bundles of more styles than this have smaller sheets and strips, the same in all.
_LARGE_SHEETS = 4
_SHOWN_PHOTOS, _FEWEST_PHOTOS, _SHOWN_FRAMES = 10, 3, 6
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
# Of a path from / or ~, also within a source such as painter:oil?art=/data/art, or within
# quotes; not of a URL.
_FOLDERS = re.compile(r"(?:^|(?<=[\s=:,(\['\"]))(?:~[^/\s]*)?/(?![/\s]|$)(?:[^/?&=]*/)*")
# The parts of a command, for a folder without quotes ends at a space.
_PARTS = re.compile(r"'[^']*'|\"[^\"]*\"|[^\s'\"]+")

# uint8 [T, H, W, 3], consecutive frames or a picture, to the same, stylized.
Stylize = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Held:
    """What a bundle is measured and shown on; none of it is trained on.

    photos: at the size to measure at. shown: some of them, uint8 [H, W, 3], at their own. art: of
    each style, uint8 [M, S, S, 3]. clips: to measure, by name. strips: of each, consecutive frames
    at their own size, uint8 [T, H, W, 3].
    """

    photos: Content
    shown: list[np.ndarray]
    art: list[np.ndarray]
    clips: dict[str, Content]
    strips: dict[str, np.ndarray]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    args = _parser().parse_args(argv)
    return run_command(_ship, args, interrupted="pictures may be new, the bundle is not")


def _ship(args: argparse.Namespace) -> None:
    keep_compiled_programs()
    bundle = open_model(args.model)
    metadata = _metadata(bundle.metadata, args)
    name = metadata["name"]
    bundle = _as_it_ships(dataclasses.replace(bundle, metadata=metadata))
    stylizer = Stylizer(bundle)
    names = style_names([bundle])
    several = len(names) > 1
    styles = {
        style if several else "": in_batches(stylizer, Settings(style=i))
        for i, style in enumerate(names)
    }
    held = _open(args, _art_of_each(args.art, names))

    metadata["figures"] = _metrics(styles, held)
    metadata["measured"] = {
        "styles": list(styles),
        "clips": list(held.clips),
        "size": min(held.photos.size),
        "photos": len(held.photos.clips[0].frames),
        "art": [len(art) for art in held.art],
        "frames": [len(clip.clips[0].frames) for clip in held.clips.values()],
    }
    for folder in (args.package, args.docs):
        make_folder(folder)
    _write_pictures(args, name, styles, held)
    if several:
        _write_mixes(args.docs, name, stylizer, held.shown[0])
    path = args.package / f"{name}.safetensors"
    _save(path, bundle, metadata)
    _tell(metadata, path)


def _metadata(trained: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """What the bundle says of itself, without its discriminator."""
    if "config" not in trained:
        raise UserError(f"{args.model} has no config; only what jaxstyle.main trained can ship")
    for field in ("description", "licence", "credits"):
        if not trained.get(field):
            raise UserError(f"{args.model} has no {field}; train it with config.{field}")
    name = args.name or trained["name"]
    if not _NAME.fullmatch(name):
        raise UserError(f"{name!r} is no name for a style: give --name, of a-z, 0-9, - and _")
    kept = {key: value for key, value in trained.items() if not key.startswith("discriminator")}
    training = _PARTS.sub(lambda part: _public(part[0]), args.training)
    return {**kept, "name": name, "training": training, "config": _public(trained["config"])}


def _public(setting: Any) -> Any:
    """A setting without the folders of the machine that trained: of their paths the last part.

    setting: of a config, or a dict or list of them.
    """
    if isinstance(setting, dict):
        return {key: _public(value) for key, value in setting.items()}
    if isinstance(setting, list):
        return [_public(value) for value in setting]
    return _FOLDERS.sub("", setting) if isinstance(setting, str) else setting


def _as_it_ships(bundle: Bundle) -> Bundle:
    """The bundle with its weights rounded: what is measured and shown is what people get."""
    with tempfile.TemporaryDirectory(prefix="jaxstyle_ship_") as folder:
        path = Path(folder) / "rounded.safetensors"
        _save(path, bundle, bundle.metadata)
        if path.stat().st_size > _MOST_BUNDLE:
            raise UserError(
                f"{bundle.metadata['name']} has {path.stat().st_size:,} bytes in float16, more "
                f"than the {_MOST_BUNDLE:,} that ship; train a smaller generator"
            )
        return load_bundle(path)


def _save(path: Path, bundle: Bundle, metadata: dict[str, Any]) -> None:
    save_bundle(path, bundle.parameters, metadata, statistics=bundle.statistics, dtype=np.float16)


def _art_of_each(specs: Sequence[str], styles: Sequence[str]) -> list[str]:
    """Where each style's art is. specs: PICTURES for one style, STYLE=PICTURES for several."""
    if len(styles) == 1:
        if len(specs) > 1:
            raise UserError(f"--art is given {len(specs)} times for one style; give it once")
        return list(specs)
    named = dict(spec.partition("=")[::2] for spec in specs)
    if named.keys() != set(styles) or len(specs) != len(styles):
        raise UserError(f"give --art=STYLE=PICTURES once for each style: {', '.join(styles)}")
    return [named[style] for style in styles]


def _open(args: argparse.Namespace, art: Sequence[str]) -> Held:
    for spec in (args.photos, *args.clips):
        check_content(spec)
    for spec in art:
        check_style(spec)
    size, frames = limits.SIZE, limits.FRAMES
    photos = open_content(args.photos, size=size, frames=frames, count=limits.PHOTOS)
    source = open_source(args.photos, size=size)
    if photos.moves or len(source) < _FEWEST_PHOTOS:
        raise UserError(f"{args.photos} must hold {_FEWEST_PHOTOS} photos or more")
    names = [Path(clip).stem for clip in args.clips]
    files = {picture_file("", name) for name in (*names, "photos", "mixes")}
    if len(files) < len(names) + 2:
        raise UserError(
            f"clips of the same name, or called photos or mixes: {', '.join(names)}; rename one"
        )
    clips = [open_content(clip, size=size, frames=frames, count=1) for clip in args.clips]
    for spec, clip in zip(args.clips, clips, strict=True):
        if not clip.moves:
            raise UserError(f"--clip={spec} is not a film")
    return Held(
        photos,
        [source[i] for i in evenly_spaced(len(source), _SHOWN_PHOTOS)],
        [open_style(spec, size=size, count=limits.ART) for spec in art],
        dict(zip(names, clips, strict=True)),
        {name: _middle(clip) for name, clip in zip(names, args.clips, strict=True)},
    )


def _middle(path: str) -> np.ndarray:
    film = VideoFrames(path)
    first = (len(film) - _SHOWN_FRAMES) // 2
    return np.stack([film[i] for i in range(first, first + _SHOWN_FRAMES)])


def _metrics(styles: dict[str, Stylize], held: Held) -> dict[str, float]:
    metrics: dict[str, float] = {}
    progress = tqdm(styles.items(), desc="measuring", unit="style", disable=None)
    for (style, stylize), art in zip(progress, held.art, strict=True):
        metrics |= measure_style(stylize, held.photos, art, held.clips, style)
    return metrics


def _write_pictures(
    args: argparse.Namespace, name: str, styles: dict[str, Stylize], held: Held
) -> None:
    outputs = []
    share = min(1, _LARGE_SHEETS / len(styles))
    for style, stylize in tqdm(styles.items(), desc="pictures", unit="style", disable=None):
        outputs.append([stylize(photo[None])[0] for photo in held.shown])
        sheet = photo_sheet(held.shown, outputs[-1])
        path = args.docs / picture_file(name, "photos", style)
        write_whole(path, jpeg_within(sheet, int(share * _MOST_SHEET)))
        for clip, frames in held.strips.items():
            strip = clip_strip(frames, stylize(frames))
            path = args.docs / picture_file(name, clip, style)
            write_whole(path, jpeg_within(strip, int(share * _MOST_STRIP)))
    small = small_picture(held.shown, outputs)
    write_whole(args.package / f"{name}.jpg", jpeg_within(small, int(_MOST_SMALL / share)))


def _write_mixes(folder: Path, name: str, stylizer: Stylizer, photo: np.ndarray) -> None:
    count = len(stylizer.styles)
    mixes = {}
    for pair in itertools.combinations_with_replacement(range(count), 2):
        weights = tuple((k == pair[0]) / 2 + (k == pair[1]) / 2 for k in range(count))
        mixes[pair] = in_batches(stylizer, Settings(weights=weights))(photo[None])[0]
    sheet = mix_sheet(photo, mixes)
    write_whole(folder / picture_file(name, "mixes"), jpeg_within(sheet, _MOST_SHEET))


def _tell(metadata: dict[str, Any], path: Path) -> None:
    for told, metric, value in limits.rows(metadata):
        print(
            f"{told:24s} {metric.label:42s} {limits.told(value):>8s}  "
            f"{limits.verdict(metric, value)}".rstrip()
        )
    print(f"{path}: {path.stat().st_size:,} bytes")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.ship_style",
        description="Measures a trained style and puts it into the package, with pictures.",
        epilog=_DETAILS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="BUNDLE", help="what training wrote")
    parser.add_argument(
        "--photos",
        required=True,
        metavar="PICTURES",
        help="held-out photos: up to 32 are measured, ten of them shown",
    )
    parser.add_argument(
        "--art",
        required=True,
        action="append",
        metavar="[STYLE=]PICTURES",
        help="held-out art that it should look like, or scenes; for each style of several",
    )
    parser.add_argument(
        "--clip",
        dest="clips",
        required=True,
        action="append",
        metavar="FILM",
        help="a real clip to measure the steadiness on; may be repeated",
    )
    parser.add_argument(
        "--training", required=True, metavar="COMMAND", help="the command that trains it"
    )
    parser.add_argument("--name", help="what it is called; by default as the training has it")
    parser.add_argument(
        "--package",
        type=Path,
        default=FOLDER,
        metavar="DIR",
        help="where the bundle goes, by default beside this program",
    )
    parser.add_argument(
        "--docs",
        type=Path,
        default=Path("docs/styles"),
        metavar="DIR",
        help="where the large pictures go (docs/styles)",
    )
    return parser


if __name__ == "__main__":
    run_program(main)
