"""Types of command-line arguments that several commands take, for argparse."""

import argparse


def frame_size(text: str) -> tuple[int, int]:
    """(width, height) in pixels from text such as 640x360."""
    try:
        width, height = map(int, text.lower().split("x"))
    except ValueError:
        width, height = 0, 0
    if min(width, height) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not of the form 640x360")
    return width, height
