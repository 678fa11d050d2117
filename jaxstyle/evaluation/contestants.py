"""Who is compared: models, baselines, and results that another program has made."""

import dataclasses
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from jaxstyle.errors import UserError
from jaxstyle.evaluation.contents import Content, file_name
from jaxstyle.inference.bundle import Bundle
from jaxstyle.inference.engine import Stylizer, initial_state
from jaxstyle.inference.model_files import find_model
from jaxstyle.inference.open_model import open_model
from jaxstyle.inference.settings import Settings
from jaxstyle.inference.styles import style_names
from jaxstyle.media.images import IMAGE_EXTENSIONS, find_files, read_image
from jaxstyle.models.examples import condition_of

INPUT = "input"
TRUTH = "truth"  # what the report calls the true stylized frames
OPENCV = "opencv stylization"
# Frames a call; more gain nothing on a CPU, and a large model would need much memory.
_BATCH = 4


@dataclasses.dataclass(frozen=True)
class Contestant:
    """One column of the report.

    kind: "model", "baseline" or "results". stylize: (content, number of a clip) -> its frames as
    this contestant shows them, uint8 of the clip's shape. bundle: of a model, the file.
    """

    name: str
    kind: str
    stylize: Callable[[Content, int], np.ndarray]
    bundle: Path | None = None


def baselines() -> list[Contestant]:
    """The unstylized input, and OpenCV's stylization filter (Gastal & Oliveira 2011)."""
    return [
        Contestant(INPUT, "baseline", lambda content, i: content.clips[i].frames),
        Contestant(OPENCV, "baseline", _opencv),
    ]


def model_contestants(specs: Sequence[str], style_images: Sequence[str]) -> list[Contestant]:
    """The styles of all bundles, one contestant each.

    specs: of each bundle what `find_model` takes, or NAME= and that. style_images: files, for
    bundles that take their style from an image. Raises `UserError` for a bundle that cannot be
    read, does not stylize, has diverged or lacks a style image, and for style images that no
    bundle takes.
    """
    bundles = [_named_bundle(spec) for spec in specs]
    if style_images and not any(_takes_image(bundle) for _, bundle in bundles):
        raise UserError("no model here takes a --style_image; what it should look like is --style")
    return [one for path, bundle in bundles for one in _styles(path, bundle, style_images)]


def _named_bundle(spec: str) -> tuple[Path, Bundle]:
    name, model = _named(spec)
    bundle = open_model(model)
    told = name or bundle.metadata["name"]
    renamed = dataclasses.replace(bundle, metadata={**bundle.metadata, "name": told})
    return find_model(model), renamed


def _styles(path: Path, bundle: Bundle, style_images: Sequence[str]) -> list[Contestant]:
    if _takes_image(bundle) and not style_images:
        raise UserError(f"{path} takes its style from an image; give one with --style_image=IMAGE")
    files = style_images if _takes_image(bundle) else []
    images = [read_image(file) for file in files]
    try:
        stylizer = Stylizer(bundle, style_images=images)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    names = style_names([bundle], [Path(file).stem for file in files])
    told = bundle.metadata["name"]
    return [
        Contestant(
            told if len(names) == 1 else f"{told}: {style}",
            "model",
            _stylizing(stylizer, Settings(style=i)),
            path,
        )
        for i, style in enumerate(names)
    ]


def _takes_image(bundle: Bundle) -> bool:
    return condition_of(bundle.generator) == "image"


def results_contestant(spec: str) -> Contestant:
    """What another program made of the frames that `--save_frames` wrote: NAME=FOLDER.

    FOLDER has a folder for each content with its frames in order, in the layout in which the input
    was written. Raises `UserError` if there is no such folder.
    """
    name, path = _named(spec)
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder} with results; give --results=NAME=FOLDER")

    def stylize(content: Content, i: int) -> np.ndarray:
        return _read_results(folder / content.folder(i), content.clips[i].frames.shape)

    return Contestant(name or folder.name, "results", stylize)


def check_names(contestants: Sequence[Contestant]) -> None:
    """Raises `UserError` if two contestants would be told, or kept, by the same name."""
    taken = {file_name(TRUTH)}
    for contestant in contestants:
        if file_name(contestant.name) in taken:
            raise UserError(
                f"the name {contestant.name!r} is taken; "
                "give another with --model=NAME=FILE or --results=NAME=FOLDER"
            )
        taken.add(file_name(contestant.name))


def check_results(contestants: Sequence[Contestant], contents: Sequence[Content]) -> None:
    """Raises `UserError` if results do not go with the contents: before models take their time."""
    for contestant in contestants:
        if contestant.kind == "results":
            for content in contents:
                for i in range(len(content.clips)):
                    contestant.stylize(content, i)


def _named(spec: str) -> tuple[str, str]:
    """The parts of NAME=PATH; the name is empty where there is none."""
    name, equals, path = spec.partition("=")
    if equals and "/" not in name and not Path(spec).exists():
        return name, path
    return "", spec


def in_batches(stylizer: Stylizer, settings: Settings) -> Callable[[np.ndarray], np.ndarray]:
    """What stylizes the frames of one clip, uint8 [T, H, W, 3] to the same, a few at a time."""

    def stylize(frames: np.ndarray) -> np.ndarray:
        state = initial_state(*frames.shape[1:3])
        outputs = []
        for start in range(0, len(frames), _BATCH):
            # The last call has frames of the one before again: one shape is compiled, not two.
            first = max(0, min(start, len(frames) - _BATCH))
            state, output = stylizer.step(state, frames[first : first + _BATCH], settings)
            outputs.append(np.asarray(output)[start - first :])
        return np.concatenate(outputs)

    return stylize


def _stylizing(stylizer: Stylizer, settings: Settings) -> Callable[[Content, int], np.ndarray]:
    stylize = in_batches(stylizer, settings)
    return lambda content, i: stylize(content.clips[i].frames)


def _opencv(content: Content, i: int) -> np.ndarray:
    frames = content.clips[i].frames
    # Channels are treated alike, so that their order does not matter.
    return np.stack([cv2.stylization(frame, sigma_s=60, sigma_r=0.45) for frame in frames])


def _read_results(folder: Path, shape: tuple[int, ...]) -> np.ndarray:
    hint = "give --size, --frames and --count as for --save_frames"
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; results are in folders as --save_frames has")
    paths = sorted(find_files(folder, IMAGE_EXTENSIONS), key=_by_numbers)
    if len(paths) != shape[0]:
        raise UserError(
            f"{folder} has {len(paths)} pictures where the content has {shape[0]} frames; {hint}"
        )
    # Not `ImageFiles`, which puts another picture in the place of a broken one.
    frames = [read_image(path) for path in paths]
    for path, frame in zip(paths, frames, strict=True):
        if frame.shape != shape[1:]:
            height, width = frame.shape[:2]
            raise UserError(f"{path} is {width}x{height}, should be {shape[2]}x{shape[1]}; {hint}")
    return np.stack(frames)


def _by_numbers(path: Path) -> list[str | int]:
    """A key for sorting by which frame_9 comes before frame_10."""
    parts = re.split(r"(\d+)", str(path))
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]
