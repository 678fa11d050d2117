"""The images that a run trains on: from `config.data` to sources of content and style."""

from collections.abc import Callable
from pathlib import Path

from ml_collections import FrozenConfigDict

from jaxstyle.data.images import read_image
from jaxstyle.data.pairs import align, key_frames
from jaxstyle.data.sources import Source, open_source


def open_training_data(
    config: FrozenConfigDict, *, needs_content: bool, say: Callable[[str], None]
) -> tuple[Source | None, Source | list[Source]]:
    """Opens what `config.data` names; a teacher stylizes the content first, and `say` tells of it.

    Returns the content, None unless it is needed, and the style: one source, or a list where there
    are several styles. Paired sources are of equal length. Raises `UserError` for what cannot be
    opened or does not fit together.
    """
    data = config.data
    content = _open(config, data.content) if needs_content else None
    if content is not None and data.key_frames:
        content = key_frames(content, data.key_frames)
    if data.teacher:
        from jaxstyle.data.teacher import taught

        style_images = [read_image(data.teacher_style)] if data.teacher_style else None
        say(f"teacher: {data.teacher} on {len(content)} frames of the content")
        return content, taught(content, data.teacher, style_images, _cache_dir(config))
    if data.styles:
        return content, [_open(config, spec) for spec in data.styles]
    style = _open(config, data.style)
    return align(content, style) if data.paired else (content, style)


def style_names(data: FrozenConfigDict) -> list[str]:
    """What the styles of `data.styles` are called: as it says, or after their sources."""
    return list(data.style_names) or [_stem(spec) for spec in data.styles]


def _stem(spec: str) -> str:
    """The last part of a source's name: "paintings" of "art/paintings/*.jpg"."""
    parts = [part for part in Path(spec.partition("?")[0]).parts if "*" not in part]
    return Path(parts[-1]).stem if parts else spec


def _open(config: FrozenConfigDict, spec: str) -> Source:
    # Crops are taken out of frames half as large again, so that they can differ.
    return open_source(spec, size=round(1.5 * config.image_size), cache_dir=_cache_dir(config))


def _cache_dir(config: FrozenConfigDict) -> Path:
    return Path(config.data.cache_dir or "~/.cache/jaxstyle").expanduser()
