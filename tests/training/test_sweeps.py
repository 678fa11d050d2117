"""What `sweep()` is written with: which overrides come out."""

import math

import pytest

from jaxstyle.training import sweeps


def test_a_grid_has_every_combination_the_last_setting_fastest():
    assert sweeps.grid({"a": [1, 2], "b.c": ["x", "y"]}) == [
        {"a": 1, "b.c": "x"},
        {"a": 1, "b.c": "y"},
        {"a": 2, "b.c": "x"},
        {"a": 2, "b.c": "y"},
    ]


def test_zipped_settings_go_together():
    assert sweeps.zipped({"a": [1, 2], "b": [3, 4]}) == [{"a": 1, "b": 3}, {"a": 2, "b": 4}]
    with pytest.raises(ValueError, match="as many values"):
        sweeps.zipped({"a": [1, 2], "b": [3]})


def test_a_product_joins_sweeps_that_change_different_settings():
    found = sweeps.product(sweeps.grid({"a": [1, 2]}), sweeps.seeds(2, first=5))
    assert found == [{"a": a, "seed": seed} for a in (1, 2) for seed in (5, 6)]
    with pytest.raises(ValueError, match="seed"):
        sweeps.product(sweeps.seeds(2), sweeps.grid({"seed": [7]}))


@pytest.mark.parametrize("values", [[], "text"])
def test_values_are_a_list(values):
    for made in (sweeps.grid, sweeps.zipped):
        with pytest.raises(ValueError, match="rate needs a list"):
            made({"rate": values})
    with pytest.raises(ValueError, match="choice needs a list"):
        sweeps.choice(values)


def test_random_draws_are_the_same_everywhere_and_always():
    """Their values name the folders that a sweep is gone on with in."""
    distributions = {"rate": sweeps.log_uniform(1e-4, 1e-2), "size": sweeps.choice(["s", "m"])}
    found = sweeps.random(3, 0, distributions)
    assert found == [
        {"rate": 0.001145, "size": "m"},
        {"rate": 0.0006238, "size": "m"},
        {"rate": 0.006844, "size": "m"},
    ]
    assert sweeps.random(5, 0, distributions)[:3] == found
    assert sweeps.random(3, 1, distributions) != found
    further = sweeps.random(3, 0, {**distributions, "steps": sweeps.integers(1, 9)})
    assert [draw["rate"] for draw in further] == [draw["rate"] for draw in found]


def test_distributions():
    fractions = [i / 1000 for i in range(1000)]
    uniform = [sweeps.uniform(-2, 6)(u) for u in fractions]
    assert min(uniform) == -2
    assert 5.9 < max(uniform) <= 6
    assert sum(uniform) / 1000 == pytest.approx(2, abs=0.01)
    log = [math.log10(sweeps.log_uniform(1, 100)(u)) for u in fractions]
    assert sum(log) / 1000 == pytest.approx(1, abs=0.01)
    assert sum(value < 0.5 for value in log) == pytest.approx(250, abs=1)  # rounded
    whole = [sweeps.integers(3, 6)(u) for u in fractions]
    assert [whole.count(n) for n in (3, 4, 5, 6)] == [250] * 4
    chosen = [sweeps.choice(["ab", "cd"])(u) for u in fractions]
    assert chosen.count("ab") == chosen.count("cd") == 500
    with pytest.raises(ValueError, match="0 < low"):
        sweeps.log_uniform(0, 1)


def test_random_draws_differ_and_there_may_be_too_few():
    small = {"seed": sweeps.integers(0, 3)}
    assert sorted(draw["seed"] for draw in sweeps.random(4, 0, small)) == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="only 4"):
        sweeps.random(5, 0, small)
