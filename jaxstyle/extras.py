"""The packages that only some commands need, and what to install where they are missing."""

import importlib.util

from jaxstyle.errors import UserError

# Of each extra in pyproject.toml that a command may lack, the modules that it must bring.
MODULES = {
    "train": (
        "absl",
        "array_record",
        "grain",
        "importlib_resources",
        "matplotlib",
        "ml_collections",
        "optax",
        "orbax.checkpoint",
        "scenedetect",
        "tensorflow_datasets",
    ),
    "onnx": ("onnx", "onnxruntime"),
}


def require(extra: str) -> None:
    """Raises `UserError`, one line that says what to install, if a package of the extra is missing.

    extra: a key of `MODULES`. Imports nothing, so that it may be asked before what takes long.
    """
    missing = [name for name in MODULES[extra] if not _is_there(name)]
    if missing:
        raise UserError(
            f"this needs {', '.join(missing)}, which is not installed: "
            f"pip install 'jaxstyle[{extra}]'"
        )


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # of the package that it is in
        return False
