"""From what a user calls a model to the bundle, ready to run."""

import os

from jaxstyle.inference.bundle import Bundle, load_bundle
from jaxstyle.inference.model_files import find_model, model_name


def open_model(spec: str | os.PathLike) -> Bundle:
    """The bundle that a user calls `spec`: found as `find_model` does, then read.

    Raises `UserError` as `find_model` and `load_bundle` do.
    """
    return load_bundle(find_model(spec), model_name(spec))
