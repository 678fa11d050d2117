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
from jaxstyle.files.atomic_file import make_folder, write_whole

_CHUNK = 1 << 20
_TIMEOUT = 30  # seconds without a byte
_LONGEST_NAME = 200  # bytes; file systems take 255, and a file that is not whole yet has more
_MOST_BYTES = 1_000_000_000  # a file is held in memory until its checksum is known


def downloaded(url: str, sha256: str, folder: Path) -> Path:
    """Where the file at `url` is in `folder`; it appears there when it is complete and right.

    sha256: 64 lower-case hexadecimal digits. What is there already and has this checksum is not
    downloaded again. Raises `UserError` if the URL names no file, the download fails, is redirected
    from https to anything else, or is larger than 1 GB, or the file has another checksum.
    """
    try:
        name = file_name(url)
    except ValueError as error:
        raise UserError(f"{url} is not a URL: {error}") from error
    if not name or "\0" in name:
        raise UserError(f"{url}: give the URL of a file")
    if len(os.fsencode(name)) > _LONGEST_NAME:
        raise UserError(f"{url}: the name of the file is longer than {_LONGEST_NAME} bytes")
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


class _StaysEncrypted(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but none from https to a scheme that anyone on the way can read."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        """As the base class has it, or an `HTTPError`."""
        schemes = [urllib.parse.urlsplit(url).scheme for url in (req.full_url, newurl)]
        if schemes[0] == "https" != schemes[1]:
            refused = f"it redirects to {newurl}, which is not https"
            raise urllib.error.HTTPError(req.full_url, code, refused, headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(url: str, name: str) -> bytearray:
    content = bytearray()
    opener = urllib.request.build_opener(_StaysEncrypted)
    with opener.open(url, timeout=_TIMEOUT) as response:
        size = int(response.headers.get("Content-Length") or 0)
        _check_size(size)
        with tqdm(total=size or None, desc=name, unit="B", unit_scale=True) as bar:
            while chunk := response.read(_CHUNK):
                content += chunk
                _check_size(len(content))
                bar.update(len(chunk))
    if len(content) < size:
        raise OSError(f"it ended after {len(content)} of {size} bytes")
    return content


def _check_size(size: int) -> None:
    if size > _MOST_BYTES:
        raise OSError(f"it is larger than {_MOST_BYTES / 1e9:g} GB")
