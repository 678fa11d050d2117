"""Files of published weights: fetched once, checked, and read without executing anything."""

import os
import re
import zipfile
import zlib
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

    Raises `UserError` for other files, broken ones, and .h5 without the package h5py.
    """
    try:
        match path.suffix.lower():
            case ".safetensors":
                return load_file(path)
            case ".npz":
                return _read_npz(path)
            case ".h5" | ".hdf5":
                return _read_hdf5(path)
    except _DAMAGE as error:
        raise UserError(f"{path} cannot be read: {error}; is it complete?") from error
    if path.suffix.lower() in (".pth", ".pt", ".bin", ".tar"):
        raise UserError(
            f"{path} is a pickle, which could run any code: in a trusted place save its tensors "
            f"with safetensors.torch.save_file, and name that file"
        )
    raise UserError(f"{path}: weights must be .safetensors, .npz or .h5")


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
    group = "." + name.replace("/", ".") + "."
    found = {
        array.ndim: array for key, array in arrays.items() if group in "." + key.replace("/", ".")
    }
    if not {1, 4} <= found.keys():
        raise KeyError(name)
    return {"kernel": found[4], "bias": found[1]}


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
        raise UserError(f"{path}: reading .h5 needs h5py; pip install 'jaxstyle[keras]'") from None
    arrays = {}

    def collect(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind == "f":
            arrays[name] = np.asarray(item)

    with h5py.File(path, "r") as file:
        file.visititems(collect)
    return arrays
