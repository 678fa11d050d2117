import subprocess
import sys


def test_opencv_is_loaded_before_pyav_so_that_windows_open():
    script = (
        "import sys, jaxstyle.media.film; order = list(sys.modules);"
        "assert order.index('cv2') < order.index('av'), 'an OpenCV window would hang'"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
