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
    "virtual": ("pyvirtualcam",),
    "keras": ("h5py",),
    "slurm": ("submitit",),
}
# Of those that the extra `test` leaves out.
UNTESTED_MODULES = {"tensorboard": ("tensorboardX",), "tfds": ("tensorflow",)}


def require(extra: str, *modules: str) -> None:
    """Raises `UserError`, one line that says what to install, if a package of the extra is missing.

    extra: a key of `MODULES`. modules: those of it that are needed; by default all. Imports
    nothing, so that it may be asked before what takes long.
    """
    if missing := missing_modules(extra, *modules):
        are = "is" if len(missing) == 1 else "are"
        raise UserError(
            f"this needs {', '.join(missing)}, which {are} not installed: {how_to_install(extra)}"
        )


def missing_modules(extra: str, *modules: str) -> list[str]:
    """The modules, of those named or of all of the extra, that are not installed."""
    known = MODULES | UNTESTED_MODULES
    return [name for name in modules or known[extra] if not _is_there(name)]


def how_to_install(extra: str) -> str:
    """What to type."""
    return f"pip install 'jaxstyle[{extra}]'"


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # of the package that it is in
        return False
