"""The images that a run trains on: from `config.data` to sources, and to batches of them."""

from collections.abc import Callable
from pathlib import Path

from ml_collections import FrozenConfigDict

from jaxstyle.bundle import load_bundle
from jaxstyle.config import needs_smooth_frames
from jaxstyle.data.images import read_image
from jaxstyle.data.loader import BatchIterator, make_loader
from jaxstyle.data.pairs import align, key_frames
from jaxstyle.data.sources import Source, open_source
from jaxstyle.data.teacher import taught
from jaxstyle.errors import UserError
from jaxstyle.models.examples import condition_of
from jaxstyle.realtime import styles


def open_training_data(
    config: FrozenConfigDict, *, needs_content: bool, say: Callable[[str], None]
) -> tuple[Source | None, Source | list[Source]]:
    """Opens what `config.data` names; a teacher stylizes the content first, and `say` tells of it.

    Returns the content, None unless it is needed, and the style: one source, or a list where there
    are several styles. Paired sources are of equal length. Raises `UserError` for what cannot be
    opened or does not fit together.
    """
    data = config.data
    content = _open(config, "content", data.content) if needs_content else None
    if content is not None and data.key_frames:
        content = key_frames(content, data.key_frames)
    if data.teacher:
        say(f"teacher: {data.teacher} on {len(content)} frames of the content")
        return content, _taught(content, config)
    if data.styles:
        return content, [_open(config, f"styles[{i}]", spec) for i, spec in enumerate(data.styles)]
    style = _open(config, "style", data.style)
    return align(content, style) if data.paired else (content, style)


def load_batches(
    config: FrozenConfigDict,
    content: Source | None,
    style: Source | list[Source],
    *,
    process_index: int = 0,
    process_count: int = 1,
) -> BatchIterator:
    """The run's batches of what `open_training_data` has opened, see `make_loader`."""
    return make_loader(
        content,
        style,
        batch_size=config.batch_size,
        image_size=config.image_size,
        seed=config.seed,
        workers=config.data.workers,
        crop_scale=config.data.crop_scale,
        paired=config.data.paired or bool(config.data.teacher),
        edge_smoothing=needs_smooth_frames(config),
        process_index=process_index,
        process_count=process_count,
    )


def _taught(content: Source, config: FrozenConfigDict) -> Source:
    """What the teacher makes of the content, in the style that `data.teacher_style` says."""
    teacher, style = config.data.teacher, config.data.teacher_style
    bundle = load_bundle(teacher)
    match condition_of(bundle.generator):
        case "image":
            if not style:
                raise UserError(
                    f"{teacher} takes its style from an image; name it in config.data.teacher_style"
                )
            return taught(content, teacher, [read_image(style)], _cache_dir(config))
        case "styles":
            names = styles.style_names([bundle])
            if style not in names:
                raise UserError(
                    f"config.data.teacher_style is {style!r}; the styles of {teacher} are: "
                    f"{', '.join(names)}"
                )
            return taught(content, teacher, None, _cache_dir(config), style=names.index(style))
    if style:
        raise UserError(f"config.data.teacher_style is {style!r}, but {teacher} has one style")
    return taught(content, teacher, None, _cache_dir(config))


def style_names(data: FrozenConfigDict) -> list[str]:
    """What the styles of `data.styles` are called: as it says, or after their sources."""
    return list(data.style_names) or [_stem(spec) for spec in data.styles]


def _stem(spec: str) -> str:
    """The last part of a source's name: "paintings" of "art/paintings/*.jpg"."""
    parts = [part for part in Path(spec.partition("?")[0]).parts if "*" not in part]
    return Path(parts[-1]).stem if parts else spec


def _open(config: FrozenConfigDict, domain: str, spec: str) -> Source:
    if not spec:
        raise UserError(f"config.data.{domain} names no images; give a folder, a film, tfds:...")
    # Crops are taken out of frames half as large again, so that they can differ.
    return open_source(spec, size=round(1.5 * config.image_size), cache_dir=_cache_dir(config))


def _cache_dir(config: FrozenConfigDict) -> Path:
    return Path(config.data.cache_dir or "~/.cache/jaxstyle").expanduser()
