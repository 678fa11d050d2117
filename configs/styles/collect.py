"""Collects the data of the styles that ship: what they are trained on, and what is held out.

    python configs/styles/collect.py MEDIA [--out=data/styles]

MEDIA is a folder of photos/, style/ and video/real/ with the files that are named below; their
sources and licences are in the model card, docs/styles.md.
"""

import argparse
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from jaxstyle.data.sources import FILM_EXTENSIONS, IMAGE_EXTENSIONS
from jaxstyle.data.video import VideoFrames
from jaxstyle.errors import UserError, run_command, run_program
from jaxstyle.media.contact_sheet import write_png
from jaxstyle.media.images import find_files, read_image

_KODAK = "photos/kodak/kodim{}.png"
# Ten photos that no style is trained on: faces, a text, a crowd of details, smooth skies.
_HELD_OUT_PHOTOS = (
    *(_KODAK.format(n) for n in ("05", "07", "08", "10", "12", "13", "15")),
    *(f"photos/misc/imageio_{name}.png" for name in ("astronaut", "chelsea", "coffee")),
)
_PHOTOS = tuple(_KODAK.format(n) for n in ("01", "02", "03", "04", "06", "09", "11", "14", "16"))
# How many frames of each film, evenly spaced.
_FILMS = {
    "video/real/intel_asl_eat.mkv": 2,
    "video/real/intel_asl_walk.mkv": 2,
    "video/real/intel_bottle-detection.mp4": 2,
    "video/real/intel_car-detection.mp4": 2,
    "video/real/bbb_cutBunny.mp4": 4,
    "video/real/bigbuckbunny.mp4": 2,
}
_CARTOON = "style/cartoon_penny_chip"
# Episodes of the cartoon, by what its files' names begin with.
_HELD_OUT_EPISODES = ("cycling", "easter", "rainy", "raspberry", "spring")
# Cut into quarters, so that the strokes in them can be seen at the size of training.
_PAINTINGS = "style/paintings_impressionist/{}.jpg"
_PAINTED = (
    "berthe-morisot_11723",
    "camille-pissarro_81548",
    "camille-pissarro_81552",
    "claude-monet_14620",
    "claude-monet_16549",
    "claude-monet_20535",
    "claude-monet_59927",
    "claude-monet_81537",
    "claude-monet_81546",
    "georges-seurat_61616",
    "jean-baptiste-armand-guillaumi_16502",
    "pierre-auguste-renoir_14647",
    "pierre-auguste-renoir_16600",
    "pierre-auguste-renoir_16617",
    "pierre-auguste-renoir_16629",
    "pierre-auguste-renoir_59944",
    "pierre-auguste-renoir_81557",
    "pierre-auguste-renoir_95654",
)
_HELD_OUT_PAINTED = (
    "camille-pissarro_81551",
    "claude-monet_14598",
    "claude-monet_20545",
    "claude-monet_81539",
    "pierre-auguste-renoir_14655",
    "pierre-auguste-renoir_81555",
)
# Single pictures are cut as a chessboard of so many rows and columns is: what is white is trained
# on, black is held out. The file of The Starry Night is sharpened to the pixel: it is cut smaller,
# for fields of about 205 pixels are enlarged to be compared at 256, which softens that.
_SINGLE = {
    "wave": ("style/single_references/fst_wave.jpg", 2, 4),
    "starry_night": ("style/single_references/mst_starry_night.jpg", 3, 5),
}
# Art in one look a folder, for the gallery: every fifth picture is held out.
_GALLERY = {
    "hiroshige": ("style/ukiyoe_hiroshige",),
    "tarot": ("style/comic_tarot_rws",),
    "crane": ("style/toybook_crane",),
    "wright": ("style/storybook_wright",),
    "busch": ("style/comic_busch",),
    "heath_robinson": ("style/ink_heathrobinson",),
    "rackham": ("style/inkwash_rackham", "style/inkwash_rackham_peterpan"),
    "watercolours": ("style/watercolour_travel",),
    "impressionists": ("style/impressionist_paris", "style/paintings_impressionist"),
    "pyle": ("style/oil_pyle",),
}
_EVERY_HELD_OUT = 5
# People, rooms, streets, nights: photos that the gallery looks at beside those above, and frames of
# a webcam, which has the noise that films have.
_GALLERY_PHOTOS = ("photos/content_cid22", "photos/content_clic2025")
_WEBCAM = "video/video_webcam_asl"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("media", type=Path, metavar="MEDIA")
    parser.add_argument(
        "--out", type=Path, default=Path("data/styles"), help="default: %(default)s"
    )
    args = parser.parse_args(argv)
    return run_command(_collect, args, interrupted=f"remove {args.out} and run it again")


def _collect(args: argparse.Namespace) -> None:
    media, out = args.media, args.out
    if out.exists():
        raise UserError(f"{out} is there already; remove it, or give another --out")
    _copy(media, _PHOTOS, out / "content")
    for film, count in _FILMS.items():
        _cut_frames(_found(media, film), count, out / "content")
    _copy(media, _HELD_OUT_PHOTOS, out / "held_out/photos")
    episodes = [path.name for path in _pictures(media, _CARTOON)]
    for is_held_out, folder in ((True, "held_out/cartoon"), (False, "cartoon")):
        chosen = [n for n in episodes if n.startswith(_HELD_OUT_EPISODES) == is_held_out]
        _copy(media, [f"{_CARTOON}/{name}" for name in chosen], out / folder)
    for names, folder in ((_PAINTED, "paintings"), (_HELD_OUT_PAINTED, "held_out/paintings")):
        for name in names:
            painting = read_image(_found(media, _PAINTINGS.format(name)))
            for i, quarter in enumerate(_fields(painting, 2, 2)):
                _write(quarter, out / folder / f"{name}_{i}.png")
    for name, (file, rows, columns) in _SINGLE.items():
        for i, field in enumerate(_fields(read_image(_found(media, file)), rows, columns)):
            is_held_out = (i // columns + i % columns) % 2
            _write(field, out / ("held_out" if is_held_out else "") / name / f"field_{i}.png")
    for name, folders in _GALLERY.items():
        files = [path for folder in folders for path in _pictures(media, folder)]
        for i, path in enumerate(files):
            is_held_out = i % _EVERY_HELD_OUT == _EVERY_HELD_OUT - 1
            folder = out / ("held_out" if is_held_out else "") / name
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / f"{path.parent.name}_{path.name}")
    shutil.copytree(out / "content", out / "gallery_content")
    for name in _GALLERY_PHOTOS:
        files = _pictures(media, name)
        _copy(media, [f"{name}/{path.name}" for path in files], out / "gallery_content")
    for film in find_files(_found(media, _WEBCAM), FILM_EXTENSIONS):
        _cut_frames(film, 1, out / "gallery_content")
    for folder in sorted(path for path in out.rglob("*") if any(path.glob("*.*"))):
        print(f"{folder}: {len(list(folder.glob('*.*')))} pictures")


def _found(media: Path, name: str) -> Path:
    path = media / name
    if not path.exists():
        raise UserError(f"there is no {path}; is {media} the folder of photos/, style/ and video/?")
    return path


def _pictures(media: Path, folder: str) -> list[Path]:
    """Its image files, by name."""
    return find_files(_found(media, folder), IMAGE_EXTENSIONS)


def _copy(media: Path, names: Iterable[str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copyfile(_found(media, name), folder / Path(name).name)


def _cut_frames(film: Path, count: int, folder: Path) -> None:
    frames = VideoFrames([film])
    for k in range(count):
        frame = frames[int((k + 0.5) * len(frames) / count)]
        write_png(folder / f"{film.stem}_{k}.png", frame)


def _fields(picture: np.ndarray, rows: int, columns: int) -> list[np.ndarray]:
    """The picture cut into so many parts of about the same size, row by row."""
    strips = np.array_split(picture, rows, axis=0)
    return [field for strip in strips for field in np.array_split(strip, columns, axis=1)]


def _write(image: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, image)


if __name__ == "__main__":
    run_program(main)
