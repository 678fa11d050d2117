"""OpenCV comes before PyAV wherever jaxstyle loads it: else no window of OpenCV's ever appears."""

import re
import subprocess
import sys
from pathlib import Path

import jaxstyle

PACKAGE = Path(jaxstyle.__file__).parent


def test_pyav_comes_after_opencv():
    script = "import sys, jaxstyle.media.pyav; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = done.stdout.split()
    assert loaded.index("cv2") < loaded.index("av")


def test_nothing_imports_pyav_but_by_the_module_that_keeps_the_order():
    importing = re.compile(r"^\s*(import|from) av\b", re.MULTILINE)
    found = [path for path in PACKAGE.rglob("*.py") if importing.search(path.read_text())]
    assert found == [PACKAGE / "media" / "pyav.py"]
