"""The interpreter that has PyTorch."""

import os
import sys

import pytest

from jaxstyle.benchmark.worker_processes import peer_commands
from jaxstyle.errors import UserError


@pytest.fixture(scope="session")
def peer_python() -> str:
    """What JAXSTYLE_PEER_PYTHON names, which must have PyTorch then; else this one, if it has."""
    named = os.environ.get("JAXSTYLE_PEER_PYTHON")
    try:
        return peer_commands(["torch"], [named or sys.executable])["torch"][0]
    except UserError:
        if named:
            raise
        pytest.skip("PyTorch is not installed; JAXSTYLE_PEER_PYTHON may name where")
