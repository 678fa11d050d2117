"""PyAV, as all of jaxstyle imports it: after OpenCV.

Both wheels bring X libraries of their own, and with PyAV's copies loaded first an OpenCV window
never appears (opencv/opencv#29195, PyAV-Org/PyAV#978).
"""

import cv2  # noqa: F401, I001
import av
from av.codec.context import Flags
from av.rational import AVRational
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition
from av.video.reformatter import ColorRange, Interpolation

__all__ = [
    "AVRational",
    "ColorRange",
    "Disposition",
    "Flags",
    "Interpolation",
    "SideDataType",
    "av",
]
