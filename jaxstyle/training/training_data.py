"""The images that a run trains on: from `config.data` to sources, and to batches of them."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from ml_collections import FrozenConfigDict

from jaxstyle.data.loader import BatchIterator, make_loader
from jaxstyle.data.pairs import align, key_frames
from jaxstyle.data.remembered import Remembered
from jaxstyle.data.scaled import Scaled
from jaxstyle.data.sources import Source, open_source
from jaxstyle.errors import UserError
from jaxstyle.guides.open_guide import open_bundle_guide, open_guide
from jaxstyle.training.objectives.discriminator import needs_smooth_frames


@dataclasses.dataclass(frozen=True)
class TrainingSources:
    """What a run trains on.

    content: None for generators of noise. style: one source, or a list where there are several
    styles. guides: for each style what its guide made of the content, image by image.
    """

    content: Source | None
    style: Source | list[Source]
    guides: Sequence[Source] = ()

    def frame_counts(self) -> dict[str, int]:
        """How many images there are of "content" and "style", of all styles together."""
        return {"content": len(self.content or ()), "style": sum(map(len, self.styles))}

    @property
    def styles(self) -> list[Source]:
        """All styles, also where there is one."""
        return self.style if isinstance(self.style, list) else [self.style]


def open_training_data(
    config: FrozenConfigDict, *, needs_content: bool, say: Callable[[str], None]
) -> TrainingSources:
    """Opens what `config.data` names; a teacher or guides see the content first: `say` tells of it.

    Raises `UserError` for what cannot be opened or does not fit together. Paired sources are of
    equal length.
    """
    data = config.data
    if not needs_content:
        return TrainingSources(None, _open_style(config))
    content = _open(config, "content", data.content)
    if data.key_frames:
        content = key_frames(content, data.key_frames)
    if data.content_sides:
        content = Scaled(content, data.content_sides)
    if data.teacher:
        say(f"teacher: {data.teacher} on {len(content)} frames of the content")
        return TrainingSources(content, _taught(content, config))
    if data.paired:
        return TrainingSources(*align(content, _open(config, "style", data.style)))
    style = _open_style(config)
    guides = []
    for guide in data.guides:
        say(f"guide: {guide} on {len(content)} frames of the content")
        guides.append(open_guide(guide, content, cache_dir=_cache_dir(config)))
    return TrainingSources(content, style, guides)


def load_batches(
    config: FrozenConfigDict,
    sources: TrainingSources,
    *,
    process_index: int = 0,
    process_count: int = 1,
) -> BatchIterator:
    """The run's batches of what `open_training_data` has opened, see `make_loader`."""
    content, styles = sources.content, sources.styles
    count = 1 + len(styles) + len(sources.guides)
    # Each process that loads has memory of its own.
    share = config.data.memory * 1_000_000 // (count * max(1, config.data.workers))

    def remembered(source: Source) -> Source:
        return Remembered(source, share)

    return make_loader(
        None if content is None else remembered(content),
        [remembered(style) for style in styles],
        batch_size=config.batch_size,
        image_size=config.image_size,
        seed=config.seed,
        workers=config.data.workers,
        crop_scale=config.data.crop_scale,
        paired=config.data.paired or bool(config.data.teacher),
        guides=[remembered(guide) for guide in sources.guides],
        native_content=bool(config.data.content_sides),
        edge_smoothing=needs_smooth_frames(config),
        process_index=process_index,
        process_count=process_count,
    )


def _taught(content: Source, config: FrozenConfigDict) -> Source:
    """What the teacher makes of the content, in the style that `data.teacher_style` says."""
    return open_bundle_guide(
        config.data.teacher,
        config.data.teacher_style,
        content,
        cache_dir=_cache_dir(config),
        setting="config.data.teacher_style",
    )


def style_names(data: FrozenConfigDict) -> list[str]:
    """What the styles of `data.styles` are called: as it says, or after their sources."""
    return list(data.style_names) or [_stem(spec) for spec in data.styles]


def _stem(spec: str) -> str:
    """The last part of a source's name: "paintings" of "art/paintings/*.jpg"."""
    parts = [part for part in Path(spec.partition("?")[0]).parts if "*" not in part]
    return Path(parts[-1]).stem if parts else spec


def _open_style(config: FrozenConfigDict) -> Source | list[Source]:
    """The source of the style, or a list of them where there are several."""
    styles = config.data.styles
    if styles:
        return [_open(config, f"styles[{i}]", spec) for i, spec in enumerate(styles)]
    return _open(config, "style", config.data.style)


def _open(config: FrozenConfigDict, domain: str, spec: str) -> Source:
    if not spec:
        raise UserError(f"config.data.{domain} names no images; give a folder, a film, tfds:...")
    # Crops are taken out of frames half as large again, so that they can differ.
    return open_source(spec, size=round(1.5 * config.image_size), cache_dir=_cache_dir(config))


def _cache_dir(config: FrozenConfigDict) -> Path:
    return Path(config.data.cache_dir or "~/.cache/jaxstyle").expanduser()
