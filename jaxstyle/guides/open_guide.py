"""Guides: what a painter or another model makes of the content, for a generator to learn from."""

import os
from pathlib import Path

from jaxstyle.data.pairs import key_frames
from jaxstyle.data.scaled import Scaled
from jaxstyle.data.sources import Source, open_source
from jaxstyle.errors import UserError
from jaxstyle.guides.painters import ART_LOOKS, PAINTERS
from jaxstyle.guides.teacher import Taught, painted, painted_from_art, taught
from jaxstyle.inference import styles
from jaxstyle.inference.model_files import find_model
from jaxstyle.inference.open_model import open_model
from jaxstyle.media.images import read_image
from jaxstyle.models.examples import condition_of

# Of the art that painters take colours and contrasts from: so many pictures at most, of this
# shorter side, the size at which styles are measured.
_MOST_ART, _ART_SIDE = 64, 256


def open_guide(spec: str, content: Source, *, cache_dir: str | os.PathLike) -> Taught:
    """What the guide that a config string names makes of the content; computed once, and kept.

    - `painter:oil`: a painter of `jaxstyle.guides.painters`. `painter:oil?art=paintings/`: what it
      paints gets the colours and contrasts of that source; `&colours=0.5&contrasts=0.8` so far (0
      to 1).
    - `painter:tarot?art=cards/`: one of those painters that take all their colours from the art.
    - `model.safetensors`: a bundle; `model.safetensors?style=wave.jpg` one that takes a style
      image, or `?style=NAME` one of several styles.

    Raises `UserError` for an unknown painter, option or style, and for what cannot be read.
    """
    name, _, query = spec.partition("?")
    options = dict(option.partition("=")[::2] for option in query.split("&") if option)
    kind, _, painter = name.partition(":")
    known = {"style"}
    if kind == "painter":
        known = {"art"} if painter in ART_LOOKS else {"art", "colours", "contrasts"}
    if unknown := sorted(options.keys() - known):
        raise UserError(f"{spec}: no option {unknown[0]!r}; there are: {', '.join(sorted(known))}")
    if kind != "painter":
        _check_model(name)
        return open_bundle_guide(name, options.get("style", ""), content, cache_dir=cache_dir)
    if painter not in PAINTERS | ART_LOOKS:
        raise UserError(
            f"{spec}: no painter {painter!r}; there are: {', '.join(PAINTERS | ART_LOOKS)}"
        )
    if painter in PAINTERS and not options:
        return painted(content, painter, cache_dir)
    if not options.get("art"):
        raise UserError(f"{spec}: name the pictures that it is to look like, art=FOLDER")
    amounts = {
        name: _amount(spec, name, options.get(name, "1")) for name in ("colours", "contrasts")
    }
    source = open_source(options["art"], size=_ART_SIDE, cache_dir=cache_dir)
    art = Scaled(key_frames(source, min(len(source), _MOST_ART)), (_ART_SIDE,))
    if painter in ART_LOOKS:
        return painted_from_art(content, painter, cache_dir, art=art)
    return painted(content, painter, cache_dir, art=art, **amounts)


def _check_model(name: str) -> None:
    try:
        find_model(name)
    except UserError as error:
        known = ", ".join(f"painter:{painter}" for painter in PAINTERS)
        raise UserError(f"{error}; nor a painter, such as {known}") from error


def _amount(spec: str, name: str, text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = -1.0
    if not 0 <= amount <= 1:
        raise UserError(f"{spec}: {name} is {text}; it must be a number from 0 to 1")
    return amount


def open_bundle_guide(
    bundle: str,
    style: str,
    content: Source,
    *,
    cache_dir: str | os.PathLike,
    setting: str = "style",
) -> Taught:
    """What a bundle makes of the content, see `taught`.

    style: the file of the image that an arbitrary-style bundle takes, the name of one of several
    styles, or empty. setting: what names the style, for messages. Raises `UserError` for a style
    that is missing, unknown or not wanted.
    """
    opened = open_model(bundle)
    match condition_of(opened.generator):
        case "image":
            if not style:
                raise UserError(f"{bundle} takes its style from an image; name it in {setting}")
            return taught(content, bundle, [read_image(Path(style))], cache_dir)
        case "styles":
            names = styles.style_names([opened])
            if style not in names:
                raise UserError(
                    f"{setting} is {style!r}; the styles of {bundle} are: {', '.join(names)}"
                )
            return taught(content, bundle, None, cache_dir, style=names.index(style))
    if style:
        raise UserError(f"{setting} is {style!r}, but {bundle} has one style")
    return taught(content, bundle, None, cache_dir)
