import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


STRENGTHS = st.floats(0, 1)
CURVES = st.dictionaries(st.floats(0, 1e6), STRENGTHS, min_size=1, max_size=6)


@given(CURVES, st.floats(-10, 2e6))
def test_a_curve_passes_through_its_points_and_never_leaves_its_neighbours(points, seconds):
    points = dict(sorted(points.items()))
    curve = parse_strength(",".join(f"{time!r}:{value!r}" for time, value in points.items()))
    assert [curve.at(time) for time in points] == list(points.values())
    times = list(points)
    around = [points[times[0]], points[times[-1]]]
    for first, second in itertools.pairwise(times):
        if first <= seconds <= second:
            around = [points[first], points[second]]
    if seconds < times[0] or seconds > times[-1]:
        around = [points[times[0] if seconds < times[0] else times[-1]]]
    assert min(around) - 1e-12 <= curve.at(seconds) <= max(around) + 1e-12


@given(st.text("0123456789.:,-+_einfa ", max_size=12))
def test_any_text_is_a_strength_between_0_and_1_or_refused(text):
    try:
        strength = parse_strength(text)
    except UserError:
        return
    found = [strength] if isinstance(strength, float) else [strength.at(t) for t in (0, 1, 9)]
    assert all(0 <= value <= 1 for value in found)
