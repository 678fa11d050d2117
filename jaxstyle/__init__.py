"""jaxstyle: train a GAN on a style, then turn a camera, a stream or a film into it, live."""

import time

# For the time that a program takes from its start to its first picture.
STARTED = time.monotonic()

# Before anything loads PyAV: both wheels bring X libraries of their own, and with PyAV's copies
# loaded first an OpenCV window never appears (opencv/opencv#29195, PyAV-Org/PyAV#978).
import cv2  # noqa: E402, F401

__version__ = "0.1.0"
