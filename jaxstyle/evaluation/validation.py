"""The light evaluation that a training run makes at intervals."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
from ml_collections import FrozenConfigDict

from jaxstyle.data.sources import Source
from jaxstyle.errors import UserError
from jaxstyle.evaluation.catalogue import described
from jaxstyle.evaluation.contents import SCENES, Content, open_content, open_style, squares
from jaxstyle.evaluation.footage import Footage, evenly_spaced
from jaxstyle.evaluation.measure import Metrics, measure, with_relative
from jaxstyle.media.contact_sheet import contact_sheet

# Consecutive frames of a film that is named as the content.
_FILM_FRAMES = 24
_BATCH = 8
_SHEET_ROWS = 4

# uint8 [N, H, W, 3] -> the same, stylized.
Stylize = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Validation:
    """What the generator of a run is measured on.

    content: what is stylized. styles: for each style that the run learns, uint8 [M, S, S, 3]. own:
    the figures of the unstylized input against each.
    """

    content: Content
    styles: tuple[np.ndarray, ...]
    own: tuple[Metrics, ...]

    def metrics(self, stylize: Sequence[Stylize]) -> dict[str, float]:
        """The figures of `evaluation.catalogue` that can be had, the mean over the styles.

        stylize: for each of the styles what stylizes frames in it.
        """
        found = []
        for style, own, one in zip(self.styles, self.own, stylize, strict=True):
            outputs = [_in_batches(one, clip.frames) for clip in self.content.clips]
            found.append(with_relative(measure(self.content, outputs, style), own))
        return {name: mean for name in found[0] if (mean := _mean(found, name)) is not None}

    def sheet(self, stylize: Sequence[Stylize]) -> np.ndarray:
        """A contact sheet: rows of input | output in each style | truth, where it is known."""
        frames = _spread([clip.frames for clip in self.content.clips])
        columns = [frames, *(one(frames) for one in stylize)]
        if self.content.has_truth:
            columns.append(_spread(self.content.truths))
        return contact_sheet(columns)

    def told(self, metrics: dict[str, float]) -> str:
        """The figures beside those of the unstylized input, a line each, for people."""
        lines = [f"on {self.content.name}:"]
        for name, value in metrics.items():
            own = _mean(self.own, name)
            if own is not None:
                metric = described(name)
                unstylized = f"(unstylized {own:.3g})"
                lines.append(
                    f"  {metric.label:32s} {value:8.3g}  {unstylized}, {metric.better} is better"
                )
        return "\n".join(lines)


def open_validation(
    config: FrozenConfigDict, content: Source, style: Source | Sequence[Source]
) -> Validation:
    """Opens what `config.evaluation` names.

    content, style: the sources that are trained on, the latter a list where there are several
    styles. The truth of scenes counts only where their cel look is what the run learns. Raises
    `UserError` for what cannot be opened, and if `config.evaluation.best` cannot be measured there.
    """
    settings = config.evaluation
    sources = list(style) if isinstance(style, list) else [cast(Source, style)]
    shown = _content(config, content)
    side = min(shown.size)
    if settings.style:
        styles = [open_style(settings.style, size=side, count=settings.count)] * len(sources)
    elif shown.has_truth:
        styles = [np.stack([truth[0] for truth in shown.truths])]
    else:
        styles = [squares(source, side, settings.count) for source in sources]
    inputs = [clip.frames for clip in shown.clips]
    own = [measure(shown, inputs, style) for style in styles]
    _check_best(settings.best, own[0])
    return Validation(shown, tuple(styles), tuple(own))


def _mean(found: Sequence[Metrics], name: str) -> float | None:
    """Of the figures that were measured; None if none was."""
    values = [value for metrics in found if (value := metrics.get(name)) is not None]
    return float(np.mean(values)) if values else None


def is_better(metrics: dict[str, float], best: dict[str, float] | None, by: str) -> bool:
    """Whether figures are better than the best so far, by the one called `by`.

    best: None where there is none yet; it may lack that figure.
    """
    if best is None or by not in best:
        return True
    difference = metrics[by] - best[by]
    return difference < 0 if described(by).better == "lower" else difference > 0


def _check_best(by: str, own: Metrics) -> None:
    known = [name for name, value in with_relative(own, own).items() if value is not None]
    if by not in known:
        raise UserError(
            f"config.evaluation.best is {by!r}, which cannot be measured here; "
            f"there are: {', '.join(known)}"
        )


def _content(config: FrozenConfigDict, trained_on: Source) -> Content:
    settings = config.evaluation
    spec = settings.content
    if not spec and config.data.content.startswith("scenes:photo"):
        spec = SCENES
    if not spec:
        pictures = squares(trained_on, settings.size, settings.count)
        return Content("training content", (Footage("training content", pictures),))
    content = open_content(spec, size=settings.size, frames=_FILM_FRAMES, count=settings.count)
    if _learns_cel(config):
        return content
    clips = tuple(dataclasses.replace(clip, truth=None) for clip in content.clips)
    return dataclasses.replace(content, clips=clips)


def _learns_cel(config: FrozenConfigDict) -> bool:
    """Whether the results should look like the true frames of scenes."""
    if config.evaluation.style:
        return config.evaluation.style == SCENES
    data = config.data
    return not (data.teacher or data.styles) and data.style.startswith("scenes:cel")


def _spread(clips: Sequence[np.ndarray]) -> np.ndarray:
    """A few frames, evenly spaced over all clips."""
    everything = [(i, k) for i, frames in enumerate(clips) for k in range(len(frames))]
    chosen = [everything[n] for n in evenly_spaced(len(everything), _SHEET_ROWS)]
    return np.stack([clips[i][k] for i, k in chosen])


def _in_batches(stylize: Stylize, frames: np.ndarray) -> np.ndarray:
    batches = range(0, len(frames), _BATCH)
    return np.concatenate([stylize(frames[i : i + _BATCH]) for i in batches])
