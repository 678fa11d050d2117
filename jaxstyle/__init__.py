"""jaxstyle: train a GAN on a style, then turn a camera, a stream or a film into it, live."""

import time

# For the time that a program takes from its start to its first picture.
STARTED = time.monotonic()

__version__ = "0.1.0"
