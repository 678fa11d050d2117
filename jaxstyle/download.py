"""Files from the web: downloaded once, and only as their checksum says they are."""

import hashlib
import http.client
import os
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from tqdm import tqdm

from jaxstyle.errors import UserError
from jaxstyle.whole_file import make_folder, write_whole

_CHUNK = 1 << 20
_TIMEOUT = 30  # seconds without a byte


def downloaded(url: str, sha256: str, folder: Path) -> Path:
    """Where the file at `url` is in `folder`; it appears there when it is complete and right.

    sha256: 64 lower-case hexadecimal digits. What is there already and has this checksum is not
    downloaded again. Raises `UserError` if the URL names no file, the download fails, or the file
    has another checksum.
    """
    name = file_name(url)
    if not name:
        raise UserError(f"{url}: give the URL of a file")
    # Two projects may publish files of one name, such as model.safetensors.
    path = folder / f"{sha256[:8]}-{name}"
    if path.is_file() and sha256_of(path) == sha256:
        return path
    make_folder(folder)
    try:
        content = _download(url, name)
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it is also the response
        raise UserError(
            f"cannot download {url} ({getattr(error, 'reason', error)}); download it elsewhere "
            f"and put it at {path}"
        ) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise UserError(
            f"{url} has the SHA-256 {hashlib.sha256(content).hexdigest()}, not {sha256}: it has "
            f"changed, or the checksum is of another file"
        )
    write_whole(path, content)
    return path


def file_name(url: str) -> str:
    """The name of the file at a URL: "e5 base.npz" of https://host/e5%20base.npz?download=true."""
    return Path(urllib.parse.unquote(urllib.parse.urlparse(url).path)).name


def sha256_of(path: str | os.PathLike) -> str:
    """The SHA-256 of a file as 64 lower-case hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(url: str, name: str) -> bytearray:
    content = bytearray()
    with urllib.request.urlopen(url, timeout=_TIMEOUT) as response:
        size = int(response.headers.get("Content-Length") or 0)
        with tqdm(total=size or None, desc=name, unit="B", unit_scale=True) as bar:
            while chunk := response.read(_CHUNK):
                content += chunk
                bar.update(len(chunk))
    if len(content) < size:
        raise OSError(f"it ended after {len(content)} of {size} bytes")
    return content
