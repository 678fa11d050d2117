"""From what a user calls a model to its file: a path, a style that ships, or an https URL."""

import difflib
import os
import re
from pathlib import Path

from jaxstyle.errors import UserError
from jaxstyle.files.download import downloaded, file_name
from jaxstyle.inference import shipped_styles

CACHE_FOLDER = Path("~/.cache/jaxstyle/models")

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_CHECKSUM = re.compile(r"sha256=([0-9a-f]{64})", re.IGNORECASE)


def find_model(spec: str | os.PathLike) -> Path:
    """The file of a model: what every command does with its model argument.

    Args:
      spec: the path of a file; else the name of a style that ships, see `jaxstyle.styles`; else
        https://HOST/PATH/FILE.safetensors#sha256=DIGEST, which is downloaded into `CACHE_FOLDER`,
        once.

    Raises:
      UserError: there is no such model; a URL without encryption or checksum; or a download that
        fails or has another checksum.
    """
    spec = os.fspath(spec)
    path = os.path.expanduser(spec)
    # Unlike Path.is_file, it answers for any text.
    if os.path.isfile(path):
        return Path(path)
    if spec in shipped_styles.names():
        return shipped_styles.bundle_path(spec)
    if _URL.match(spec):
        return _fetch(spec)
    near = difflib.get_close_matches(spec, shipped_styles.names(), n=1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    raise UserError(
        f"no model at {spec}: it is neither a file, such as training writes as "
        f"WORKDIR/model.safetensors, nor a style that ships "
        f"({shipped_styles.listed_names()}){meant}"
    )


def model_name(spec: str | os.PathLike) -> str:
    """What a model is called that has no name of its own: its file without the extension."""
    spec = os.fspath(spec)
    return Path(file_name(spec) if _URL.match(spec) else spec).stem


def _fetch(url: str) -> Path:
    address, _, fragment = url.partition("#")
    checksum = _CHECKSUM.fullmatch(fragment)
    if not address.lower().startswith("https://"):
        raise UserError(
            f"{url}: models are downloaded over https:// only; write "
            "https://HOST/FILE.safetensors#sha256=DIGEST, or download it and name the file"
        )
    if not checksum:
        raise UserError(
            f"{url} lacks its checksum; write {address}#sha256=DIGEST, with the 64 hexadecimal "
            "digits that its publisher gives or sha256sum prints"
        )
    return downloaded(address, checksum[1].lower(), CACHE_FOLDER.expanduser())
