"""Tests of a real Slurm run only where somebody said that jobs may be submitted."""

import os
import shutil
import subprocess

import pytest

ANSWER_TIMEOUT = 5  # seconds; what is up answers at once


@pytest.fixture(scope="session")
def slurm() -> None:
    """Skips unless JAXSTYLE_SLURM_TESTS=1 and a Slurm answers here, `sbatch` included.

    The variable is asked for because a test suite on the login node of a cluster should not submit
    jobs unasked. `.ci/run` sets it.
    """
    if os.environ.get("JAXSTYLE_SLURM_TESTS") != "1":
        pytest.skip("submits Slurm jobs only with JAXSTYLE_SLURM_TESTS=1")
    if not (shutil.which("sinfo") and shutil.which("sbatch")):
        pytest.skip("no Slurm here")
    try:
        answer = subprocess.run(
            ["sinfo", "-h"], capture_output=True, text=True, timeout=ANSWER_TIMEOUT
        )
    except subprocess.TimeoutExpired:
        pytest.skip("Slurm does not answer")
    if answer.returncode or not answer.stdout.strip():
        pytest.skip("Slurm does not answer")
