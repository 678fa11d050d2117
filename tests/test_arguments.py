"""What the commands accept, and that argparse says what they do not."""

import argparse
from fractions import Fraction

import pytest

from jaxstyle.arguments import fraction, frame_size, positive_int, rate


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (frame_size, "640x360", (640, 360)),
        (frame_size, "1X2", (1, 2)),
        (positive_int, "1", 1),
        (positive_int, "0012", 12),
        (rate, "25", Fraction(25)),
        (rate, "23.976", Fraction(2997, 125)),
        (rate, "30000/1001", Fraction(30000, 1001)),
        (rate, "1000", Fraction(1000)),
        (fraction, "0", 0.0),
        (fraction, ".25", 0.25),
        (fraction, "1", 1.0),
    ],
)
def test_text_becomes_a_value(read, text, value):
    result = read(text)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("read", "texts", "message"),
    [
        (frame_size, ["640", "640x", "0x1", "-1x2", "1x2x3", "1.5x2", ""], "of the form 640x360"),
        (positive_int, ["0", "-1", "1.0", "two", "²", ""], "whole number of at least 1"),
        (rate, ["0", "-1", "1001", "1/0", "nan", "inf", "fast", ""], "rate between 0 and 1000"),
        (fraction, ["-0.1", "1.1", "nan", "inf", "half", ""], "number between 0 and 1"),
    ],
)
def test_what_is_no_value_is_named(read, texts, message):
    for text in texts:
        with pytest.raises(argparse.ArgumentTypeError, match=message) as raised:
            read(text)
        assert str(raised.value).startswith(text)
