import numpy as np
import pytest

from jaxstyle.errors import UserError
from jaxstyle.export.comparison import compare


def source(frames, strength):
    return 255 - frames


def changed(frames, amount, every=1):
    result = (255 - frames).astype(int)
    result.reshape(-1)[::every] += amount
    return np.clip(result, 0, 255).astype(np.uint8)


def test_a_level_of_rounding_here_and_there_passes_and_is_counted():
    result = compare(lambda x, s: changed(x, 1, every=100), source, [(40, 32), (36, 44)])
    assert result.frames == 6
    assert result.largest == 1
    assert result.mean == pytest.approx(0.01, rel=0.1)
    assert "40x32, 36x44" in str(result)


@pytest.mark.parametrize(("amount", "every"), [(1, 2), (3, 1000)])
def test_many_small_differences_and_few_large_ones_are_refused(amount, every):
    with pytest.raises(UserError, match="nothing is written"):
        compare(lambda x, s: changed(x, amount, every), source, [(40, 32)])


def test_a_model_that_ignores_the_strength_is_refused():
    def mixed(x, strength):
        return (strength * x).astype(np.uint8)

    with pytest.raises(UserError, match="nothing is written"):
        compare(lambda x, s: mixed(x, np.float32(1)), mixed, [(40, 32)])


def test_another_shape_is_refused():
    with pytest.raises(UserError, match=r"\(1, 16, 40, 3\)"):
        compare(lambda x, s: source(x, s)[:, ::2], source, [(40, 32)])


def test_a_fixed_batch_is_what_every_call_gets():
    sizes = []

    def recorded(frames, strength):
        sizes.append(frames.shape)
        return source(frames, strength)

    compare(recorded, source, [(8, 5)], batch=2)
    assert sizes == [(2, 5, 8, 3), (2, 5, 8, 3)]
