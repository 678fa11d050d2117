import math

import pytest

from jaxstyle.errors import UserError
from jaxstyle.realtime.controls import Controls
from jaxstyle.realtime.strength import StrengthCurve


@pytest.fixture
def controls():
    """Three styles of one bundle, then one of another."""
    return Controls(["ink", "wave", "night", "film"], bundles=[0, 0, 0, 1])


@pytest.mark.parametrize(
    "weights", [{"ink": 1, "night": 3}, {"ink": 0.2, "night": 0.6, "film": 0}, [0.1, 0, 0.3, 0]]
)
def test_weights_are_scaled_to_a_sum_of_one(controls, weights):
    controls.change({"weights": weights})
    assert controls.settings.weights == pytest.approx((0.25, 0.0, 0.75, 0.0))


@pytest.mark.parametrize(
    "change", [{"style": "wave"}, {"mix": 0.3}, "next_style", "more_mix", {"weights": None}]
)
def test_choosing_a_style_ends_weights(controls, change):
    controls.change({"weights": {"ink": 1, "wave": 1}, "strength": 0.5})
    if isinstance(change, str):
        controls.act(change)
    else:
        controls.change(change)
    assert controls.settings.weights is None
    assert controls.settings.strength == 0.5


def test_other_controls_keep_weights(controls):
    controls.change({"weights": {"ink": 1, "wave": 1}})
    for change in ({"strength": 0.5}, {"split": 0.5}, {"smoothing": 0.5}, {"paused": True}):
        controls.change(change)
    controls.act("weaker")
    assert controls.settings.weights == (0.5, 0.5, 0.0, 0.0)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"ink": 1, "film": 1}, "weights mix styles of one model"),
        ({"oil": 1}, "no style 'oil'; there are: ink, wave, night, film"),
        ({"ink": -1}, "a weight is -1; it must be a number between 0 and 1000000"),
        ({"ink": True}, "a weight is True"),
        ({"ink": "1"}, "a weight is '1'"),
        ({"ink": math.nan}, "a weight is nan"),
        ({"ink": math.inf}, "a weight is inf"),
        ([1e308, 1e308, 0, 0], r"a weight is 1e\+308"),
        ({"ink": 10**400}, r"a weight is 10+\.\.\.0+; it must be"),
        ({"ink": 0}, "weights are all 0"),
        ({}, "weights are all 0"),
        ([1.0, 0.0], "give a number for each style, or some by name"),
        ("ink", "give a number for each style, or some by name"),
    ],
)
def test_weights_that_make_no_sense_change_nothing(controls, weights, message):
    before = controls.settings
    with pytest.raises(UserError, match=message):
        controls.change({"strength": 0.5, "weights": weights})
    assert controls.settings == before


@pytest.mark.parametrize("change", [{"strength": 0.9}, "stronger"])
def test_a_curve_sets_the_strength_until_somebody_does(change):
    controls = Controls(["ink"], curve=StrengthCurve((0.0, 10.0), (0.0, 1.0)))
    assert controls.settings_at(3.0).strength == pytest.approx(0.3)
    controls.change({"smoothing": 0.5})
    assert controls.settings_at(8.0).strength == pytest.approx(0.8)
    assert controls.settings.strength == pytest.approx(0.8)
    if isinstance(change, str):
        controls.act(change)
    else:
        controls.change(change)
    assert controls.settings_at(2.0).strength == pytest.approx(0.9)
