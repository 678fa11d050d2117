import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jaxstyle.training.schedules import schedule_at

FRACTIONS = st.floats(0, 1, width=32)
MULTIPLIERS = st.floats(-4, 4, width=32)


# Of three points each: for every number of them there is a program to compile.
@given(st.lists(FRACTIONS, min_size=3, max_size=3), st.tuples(*[MULTIPLIERS] * 3), FRACTIONS)
def test_a_schedule_stays_between_the_points_around_and_is_even_outside(at, multipliers, fraction):
    at = sorted(at)
    schedule = tuple(zip(at, multipliers, strict=True))
    value = float(schedule_at(jnp.float32(fraction), schedule))
    before = [multiplier for start, multiplier in schedule if start <= fraction]
    after = [multiplier for start, multiplier in schedule if start >= fraction]
    # Two points at one fraction are a jump: there either counts.
    around = [*before[-1:], *after[:1]]
    if fraction in at:
        around = [multiplier for start, multiplier in schedule if start == fraction]
    assert min(around) - 1e-5 <= value <= max(around) + 1e-5
    assert np.isfinite(value)
