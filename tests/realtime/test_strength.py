import numpy as np
import pytest

from jaxstyle.errors import UserError
from jaxstyle.realtime.strength import StrengthCurve, parse_strength


def test_a_curve_is_linear_between_its_points_and_constant_outside():
    curve = parse_strength("1:0.2,3:1,7:0")
    assert curve == StrengthCurve((1.0, 3.0, 7.0), (0.2, 1.0, 0.0))
    times = [0.0, 1.0, 2.0, 3.0, 4.0, 7.0, 100.0]
    np.testing.assert_allclose([curve.at(t) for t in times], [0.2, 0.2, 0.6, 1.0, 0.75, 0.0, 0.0])


def test_a_number_is_a_number():
    assert parse_strength("0.25") == 0.25


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2", "2 is not a number between 0 and 1"),
        ("nan", "nan is not a number between 0 and 1"),
        ("much", "much is not a number"),
        ("0:2", "2 is not a number between 0 and 1"),
        ("0:0,x:1", "x:1 is not of the form seconds:strength"),
        ("-1:0", "-1:0 is not of the form seconds:strength"),
        ("inf:0", "inf:0 is not of the form"),
        ("0:0,", " is not of the form seconds:strength"),
        ("0:0:1", "0:1 is not a number"),
        ("0:0,3:1,3:0", "the time 3 does not come after 3"),
        ("2:0,1:1", "the time 1 does not come after 2"),
    ],
)
def test_what_is_neither_is_refused_in_one_line(text, message):
    with pytest.raises(UserError, match=message) as caught:
        parse_strength(text)
    assert "\n" not in str(caught.value)
