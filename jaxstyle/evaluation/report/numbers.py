"""Numbers as text: three significant digits, decimal points under each other."""

import math
from collections.abc import Sequence

_FIGURE_SPACE, _PUNCTUATION_SPACE = "\u2007", "\u2008"  # as wide as a digit, as a point
# Below it, zeros after the point would be wider than an exponent.
_SMALLEST_FIXED = 1e-4


def three_digits(value: float) -> str:
    """Three significant digits, whole numbers in full: 0.120, 12.3, 12345, 1.23e-05.

    Raises ValueError for what is not finite.
    """
    if not math.isfinite(value):
        raise ValueError(f"a report has finite figures only, got {value}")
    if value == 0:
        return "0"
    # Rounded first: 0.9996 has the exponent of 1.00.
    exponent = int(f"{value:.2e}".partition("e")[2])
    if abs(value) < _SMALLEST_FIXED:
        return f"{value:.2e}"
    return f"{value:.{max(0, 2 - exponent)}f}"


def aligned(texts: Sequence[str]) -> list[str]:
    """Pads numbers on the right so that, flush right, their decimal points are in one line."""
    decimals = [len(text.partition(".")[2]) for text in texts]
    most = max(decimals, default=0)
    return [
        text
        + (_PUNCTUATION_SPACE if most and "." not in text else "")
        + _FIGURE_SPACE * (most - count)
        for text, count in zip(texts, decimals, strict=True)
    ]
