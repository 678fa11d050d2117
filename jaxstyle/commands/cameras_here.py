"""The cameras of this machine, found without switching one on."""

import os
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

# From Linux's videodev2.h: what a device can do is asked by this, and told in a structure of 104
# bytes, at whose byte 88 are the abilities of this device node.
_QUERYCAP = 0x80685600
_STRUCTURE_SIZE, _ABILITIES_AT = 104, 88
_CAPTURES = 0x00000001 | 0x00001000  # in one plane, in several

# Elsewhere, OpenCV has to open cameras one by one; some drivers take long, and say much.
_PROGRAM = """\
import cv2
for number in range(4):
    camera = cv2.VideoCapture(number)
    if not camera.isOpened():
        break
    print(number, flush=True)
    camera.release()
"""
_MOST_SECONDS = 15.0


def cameras_here(devices: Path = Path("/dev")) -> list[dict[str, Any]]:
    """The cameras: "number" (as SOURCE), "name", and "obstacle", empty if it can be opened.

    devices: where Linux has video0 and so on. Other systems are asked by OpenCV, which does not
    tell names.
    """
    if sys.platform.startswith("linux"):
        return _linux_cameras(devices)
    command = [sys.executable, "-c", _PROGRAM]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_MOST_SECONDS)
        numbers = done.stdout
    except subprocess.TimeoutExpired as error:
        numbers = (error.stdout or b"").decode()
    return [
        {"number": int(number), "name": "a camera", "obstacle": ""} for number in numbers.split()
    ]


def _linux_cameras(devices: Path) -> list[dict[str, Any]]:
    found = []
    for path in devices.glob("video*"):
        if not (match := re.fullmatch(r"video(\d+)", path.name)):
            continue
        obstacle = _obstacle(path)
        if obstacle is not None:
            number = int(match[1])
            found.append({"number": number, "name": _name(path), "obstacle": obstacle})
    return sorted(found, key=lambda camera: camera["number"])


def _obstacle(path: Path) -> str | None:
    """Why the device cannot be opened, empty if it can; None if it takes no pictures."""
    import fcntl

    answer = bytearray(_STRUCTURE_SIZE)
    try:
        file = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except PermissionError:
        return f"no permission to open {path}; join the group of that file (video)"
    except OSError as error:
        return error.strerror
    try:
        fcntl.ioctl(file, _QUERYCAP, answer)
    except OSError:  # no video device
        return None
    finally:
        os.close(file)
    (abilities,) = struct.unpack_from("=I", answer, _ABILITIES_AT)
    return "" if abilities & _CAPTURES else None


def _name(path: Path) -> str:
    try:
        return Path(f"/sys/class/video4linux/{path.name}/name").read_text().strip()
    except OSError:
        return str(path)
