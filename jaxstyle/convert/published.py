"""Reads files of published weights, and asks PyTorch what the published generator does."""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxstyle.errors import UserError
from jaxstyle.features import weights

# The last as in "model.pth.tar".
_TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".tar")
_SCRIPT = Path(__file__).with_name("torch_side.py")


def has_torch(python: str) -> bool:
    """Whether that interpreter has PyTorch and NumPy. Raises `UserError` if it does not run."""
    code = "import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, sys.argv[1:])))"
    try:
        done = subprocess.run([python, "-c", code, "torch", "numpy"], capture_output=True)
    except OSError as error:
        raise UserError(f"--torch_python={python} does not run: {error.strerror}") from error
    return done.returncode == 0


def read_weights(path: Path, torch_python: str) -> dict[str, np.ndarray]:
    """The tensors of a .npz or .safetensors file, or of a PyTorch one, by their names.

    PyTorch files are read by `torch_python`, in a process of its own that accepts tensors alone.
    Raises `UserError` if there is no file, or nothing can be read from it.
    """
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    suffix = path.suffix.lower()
    if suffix in (".npz", ".safetensors"):
        return weights.read(path)
    if suffix not in _TORCH_SUFFIXES:
        raise UserError(
            f"{path} is no file of weights; those end in .npz, .safetensors, or, of PyTorch, "
            f"{' '.join(_TORCH_SUFFIXES)}"
        )
    if not has_torch(torch_python):
        raise UserError(
            f"reading {path} takes PyTorch, and {torch_python} has none: pip install torch numpy, "
            "or name an interpreter that has them with --torch_python"
        )
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "weights.npz"
        error = _run_script(torch_python, "read", path, out)
        if error:
            raise UserError(f"{path}: {error}")
        with np.load(out) as arrays:
            return dict(arrays)


def published_output(
    torch_python: str,
    kind: str,
    tensors: Mapping[str, np.ndarray],
    frame: np.ndarray,
    style: np.ndarray,
    *,
    align_corners: bool,
) -> np.ndarray:
    """What PyTorch computes from published weights.

    kind, tensors: as in `layouts`. frame, style: float32 [1, H, W, 3] in [-1, 1], H and W
    multiples of 4. Returns float32 of the frame's shape. Raises `UserError` if PyTorch fails.
    """
    arrays: dict[str, Any] = {
        **{name: np.asarray(value, np.float32) for name, value in tensors.items()},
        "frame": frame.transpose(0, 3, 1, 2),
        "style": style.transpose(0, 3, 1, 2),
    }
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "arrays.npz", Path(folder) / "output.npz"
        np.savez(source, **arrays)
        error = _run_script(torch_python, "run", kind, int(align_corners), source, out)
        if error:
            raise UserError(f"PyTorch cannot run these weights: {error}")
        with np.load(out) as result:
            return result["output"].transpose(0, 2, 3, 1)


def _run_script(python: str, *arguments: object) -> str:
    """Runs `torch_side.py`; returns "", or the last line of what it complained about."""
    command = [python, str(_SCRIPT), *map(str, arguments)]
    # Without a GPU, whose convolutions round to fewer digits.
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"])[-1]
