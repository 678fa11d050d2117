"""From a line in a config to a source of images."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from jaxstyle.data.cifar import Cifar
from jaxstyle.errors import UserError
from jaxstyle.extras import require
from jaxstyle.media.images import IMAGE_EXTENSIONS, ImageFiles, find_files

FILM_EXTENSIONS = frozenset(
    {".avi", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".ts", ".webm"}
)
# What `jaxstyle.prepare` puts into the folder of each film, beside film.json.
_CONTACT_SHEETS = frozenset({"kept.jpg", "dropped.jpg"})
KINDS = (
    "scenes:photo, scenes:cel, tfds:<data set or folder of one>, cifar10:<path>, "
    "a folder or glob of images, a film file, a folder or glob of films"
)


class Source(Protocol):
    """Images that can be read in any order; the same index always gives the same pixels.

    A source that is to be read by worker processes must pickle.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> np.ndarray:
        """[H, W, 3] uint8 RGB; sizes may differ between indices."""
        ...


def open_source(
    spec: str,
    *,
    size: int,
    scene_count: int = 2000,
    cache_dir: str | os.PathLike | None = None,
) -> Source:
    """Opens the source that a config string names.

    - `scenes:photo` and `scenes:cel`: the built-in renderer, camera-like or cel-shaded. Options:
      `count`, `first_seed`, `size`, as in `scenes:cel?count=500&first_seed=100000`. One seed gives
      the same scene in both renderings, so unpaired training wants ranges
      [first_seed, first_seed + count) that do not overlap, paired training equal ones.
    - `tfds:cycle_gan/ukiyoe2photo?split=trainA`: a TensorFlow Datasets image feature. Options:
      `split`, `feature`, `data_dir`.
    - `tfds:frames`, or just the folder `frames`: a prepared data set, see `jaxstyle.prepare`.
    - `cifar10:cifar-10-binary.tar.gz?labels=0,3`: CIFAR's own binary files, see `data.cifar`.
      Options: `split`, `labels`. `cifar100:` is the same: the files tell which they are.
    - a folder (searched with its subfolders) or a glob: its images, or its films.
    - a film file: its frames.

    Args:
      spec: the string.
      size: side of rendered scenes in pixels, unless the spec says otherwise. Images and films
        keep their own sizes.
      scene_count: number of rendered scenes, unless the spec says otherwise.
      cache_dir: where rendered scenes and downloaded data sets are kept; None: scenes are rendered
        anew on every access, and TFDS uses its own default.

    Raises:
      UserError: nothing of that name, an unknown option or value, nothing readable there, or
        contact sheets of `jaxstyle.prepare` among images.
    """
    kind, _, rest = spec.partition(":")
    if kind in ("scenes", "tfds"):
        name, _, query = rest.partition("?")
        if kind == "scenes":
            return _open_scenes(spec, name, query, size, scene_count, cache_dir)
        return _open_tfds(spec, name, query, cache_dir)
    if kind in ("cifar10", "cifar100"):
        path, _, query = rest.partition("?")
        return _open_cifar(spec, path, query)
    # Beside its records, what `jaxstyle.prepare` makes has contact sheets, which are no data.
    if (Path(spec).expanduser() / "dataset_info.json").is_file():
        return _open_tfds(spec, spec, "", cache_dir)
    return _open_files(spec)


def _parse_options(spec: str, query: str, known: dict[str, Callable]) -> dict[str, Any]:
    """{option: converted value} of 'a=1&b=x'; `known` maps each option to its converter."""
    options = {}
    # Not urllib.parse, which would make a space of the '+' in split=trainA+trainB.
    for option in query.split("&") if query else []:
        name, equals, value = option.partition("=")
        if not equals:
            raise UserError(f"{spec}: write options as name=value, joined by '&'")
        if name not in known:
            raise UserError(f"{spec}: no option '{name}'; there are {', '.join(known)}")
        try:
            options[name] = known[name](value)
        except ValueError:
            raise UserError(f"{spec}: {name}='{value}' is not a whole number") from None
    return options


def _open_scenes(
    spec: str,
    rendering: str,
    query: str,
    size: int,
    count: int,
    cache_dir: str | os.PathLike | None,
) -> Source:
    options = {"count": count, "first_seed": 0, "size": size}
    options |= _parse_options(spec, query, dict.fromkeys(options, int))

    from jaxstyle.data.scenes import Scenes

    return Scenes(
        rendering,
        count=options["count"],
        size=(options["size"], options["size"]),
        first_seed=options["first_seed"],
        cache_dir=cache_dir,
    )


def _open_tfds(spec: str, name: str, query: str, cache_dir: str | os.PathLike | None) -> Source:
    options = _parse_options(spec, query, {"split": str, "feature": str, "data_dir": str})
    if not name:
        raise UserError(f"{spec}: name a data set, for example tfds:cycle_gan/ukiyoe2photo")
    if cache_dir is not None:
        options.setdefault("data_dir", Path(cache_dir) / "tfds")

    require("train", "tensorflow_datasets", "array_record", "importlib_resources")

    # Imported only when asked for: TFDS and its readers are slow to import.
    from jaxstyle.data.tfds import TfdsImages

    return TfdsImages(name, **options)


def _open_cifar(spec: str, path: str, query: str) -> Source:
    options = _parse_options(spec, query, {"split": str, "labels": str})
    if not path:
        raise UserError(f"{spec}: name the folder or archive, such as cifar10:~/cifar-10.tar.gz")
    return Cifar(path, **options)


def _open_files(spec: str) -> Source:
    images = find_files(spec, IMAGE_EXTENSIONS)
    films = find_files(spec, FILM_EXTENSIONS)
    if images and films:
        raise UserError(
            f"{spec}: holds {len(images)} images and {len(films)} films; "
            f"say which with a glob, for example '**/*{images[0].suffix}'"
        )
    if images:
        _refuse_contact_sheets(spec, images)
        return ImageFiles(spec)
    # A file that is named outright may be a film under any extension.
    named = Path(spec).expanduser()
    films = films or ([named] if named.is_file() else [])
    if films:
        from jaxstyle.data.video import VideoFrames

        return VideoFrames(films)
    if named.exists():
        raise UserError(f"{spec}: no images or films there")
    raise UserError(f"{spec}: no such source; there are {KINDS}")


def _refuse_contact_sheets(spec: str, images: Sequence[Path]) -> None:
    """Else a part of a prepared data set, or one that is not finished, is trained on unnoticed."""
    for image in images:
        if image.name not in _CONTACT_SHEETS:
            continue
        film = image.resolve().parent
        if not ((film / "film.json").is_file() and (film.parent / "options.json").is_file()):
            continue
        data_set = film.parents[1]
        finished = (data_set / "dataset_info.json").is_file()
        first = "" if finished else "finish it by jaxstyle.prepare without --shard, then "
        raise UserError(
            f"{spec}: holds contact sheets, of the prepared data set {data_set}; "
            f"{first}give tfds:{data_set}"
        )
