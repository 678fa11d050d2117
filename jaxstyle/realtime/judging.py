"""The sink that judges: it keeps the score of every frame, and the worst of them as pictures."""

import heapq
import json
import sys
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from jaxstyle.errors import UserError
from jaxstyle.files.atomic_file import write_whole
from jaxstyle.inference.judge import FrameJudge, poor_outliers
from jaxstyle.inference.styles import Style, shown_styles
from jaxstyle.media.film import Frame
from jaxstyle.media.image_writer import write_image
from jaxstyle.realtime.controls import Controls
from jaxstyle.realtime.letterbox import letterboxed

_WORST, _COLUMNS = 8, 4
_CELL_WIDTH, _CAPTION_HEIGHT, _GAP = 320, 26, 4
_BLACK, _RED = (0, 0, 0), (200, 0, 0)


def check_judge_path(path: Path, overwrite: bool) -> None:
    """Raises `UserError` unless scores can be written to `path`, and a picture beside them."""
    if path.suffix.lower() != ".jsonl":
        raise UserError(f"--judge writes JSON lines; name a file that ends in .jsonl, not {path}")
    if not path.absolute().parent.is_dir():
        raise UserError(f"there is no folder {path.parent} to write {path.name} to")
    for file in (path, path.with_suffix(".png")):
        if file.exists() and not overwrite:
            raise UserError(f"{file} exists; --overwrite replaces it")


def check_judge_clashes(path: Path, used: Mapping[str, Iterable[Path]]) -> None:
    """Raises `UserError` if scores at `path`, or the picture beside them, take another's place.

    used: by what they are, such as "the source", the other files of the run. A folder among them
    is one that pictures are written to: none but its own may lie there.
    """
    taken = {what: {other.resolve() for other in others} for what, others in used.items()}
    for file in (path, path.with_suffix(".png")):
        place = file.resolve()
        for what, places in taken.items():
            if not places.isdisjoint((place, *place.parents)):
                raise UserError(
                    f"--judge={path} would write {file}, which is {what} or lies in it; "
                    "choose another name"
                )


class JudgeSink:
    """Scores every frame; `finish` writes the scores and a contact sheet of the worst frames.

    path: FILE.jsonl gets a line for each frame, {"frame": i, "seconds": t, "score": s}, with
    "flagged": true where it is a poor outlier among them (`judge.poor_outliers`); FILE.png gets
    the worst frames, with number and score. Both appear complete, at the end.
    time_base: seconds per unit of `Frame.pts`. controls, styles: what is shown, for judges that
    know styles apart.
    """

    live = False

    def __init__(
        self,
        judge: FrameJudge,
        path: Path,
        time_base: Fraction,
        controls: Controls,
        styles: list[Style],
    ):
        self._judge = judge
        self._path = path
        self._time_base = time_base
        self._controls = controls
        self._styles = styles
        self._seconds: list[float] = []
        self._scores: list[float] = []
        # A heap of the worst so far, the best of them first: (-score, -number, thumbnail).
        self._worst: list[tuple[float, int, np.ndarray]] = []

    def write(self, frame: Frame) -> None:
        """Judges the frame; its `original` must be there."""
        _, weights = shown_styles(self._styles, self._controls.settings)[0]
        score = self._judge.score(frame.rgb, frame.original, weights)
        number = len(self._scores)
        self._seconds.append(float(frame.pts * self._time_base))
        self._scores.append(score)
        if len(self._worst) < _WORST:
            heapq.heappush(self._worst, (-score, -number, _thumbnail(frame.rgb)))
        elif -score > self._worst[0][0]:
            heapq.heapreplace(self._worst, (-score, -number, _thumbnail(frame.rgb)))

    def finish(self) -> None:
        """Writes both files, and says how many frames are flagged."""
        if not self._scores:
            raise UserError(f"{self._path}: not one frame to judge")
        flagged = poor_outliers(self._scores)
        lines = []
        for i, (seconds, score) in enumerate(zip(self._seconds, self._scores, strict=True)):
            line = {"frame": i, "seconds": round(seconds, 6), "score": round(score, 6)}
            lines.append(json.dumps(line | ({"flagged": True} if flagged[i] else {})))
        write_whole(self._path, "".join(f"{line}\n" for line in lines).encode())
        sheet = self._path.with_suffix(".png")
        worst = [
            (-number, -score, rgb, bool(flagged[-number]))
            for score, number, rgb in sorted(self._worst, reverse=True)
        ]
        write_image(sheet, worst_frames(worst))
        print(
            f"{flagged.sum()} of {len(lines)} frames flagged as poor, in {self._path}; "
            f"the worst are in {sheet}",
            file=sys.stderr,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._worst = []


def worst_frames(frames: list[tuple[int, float, np.ndarray, bool]]) -> np.ndarray:
    """A contact sheet, uint8 [H, W, 3], of (number, score, uint8 [h, w, 3], flagged) each.

    Numbers and scores are drawn below, of flagged frames in red. All cells have the shape of
    the first.
    """
    height = frames[0][2].shape[0]
    cells = [
        np.full((height + _CAPTION_HEIGHT + _GAP, _CELL_WIDTH + _GAP, 3), 255, np.uint8)
        for _ in range(-(-len(frames) // _COLUMNS) * _COLUMNS)
    ]
    for cell, (number, score, rgb, flagged) in zip(cells, frames, strict=False):
        cell[:height, :_CELL_WIDTH] = letterboxed(rgb, (_CELL_WIDTH, height))
        cv2.putText(
            cell,
            f"frame {number}   {score:.3f}",
            (4, height + 18),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.5,
            _RED if flagged else _BLACK,
            1,
            cv2.LINE_AA,
        )
    rows = [np.hstack(cells[i : i + _COLUMNS]) for i in range(0, len(cells), _COLUMNS)]
    return np.vstack(rows)


def _thumbnail(rgb: np.ndarray) -> np.ndarray:
    height = max(1, round(rgb.shape[0] * _CELL_WIDTH / rgb.shape[1]))
    return cv2.resize(rgb, (_CELL_WIDTH, height), interpolation=cv2.INTER_AREA)
