from collections.abc import Callable

import cv2
import numpy as np
import pytest


@pytest.fixture(scope="module")
def soft_shapes() -> Callable[..., np.ndarray]:
    """Draws a picture of soft shapes with grain: float32 [height, width, 3] in [0, 1].

    across: how many shapes there are each way. grain: its standard deviation.
    """

    def draw(height: int, width: int, *, across: int, grain: float) -> np.ndarray:
        rng = np.random.default_rng(0)
        shapes = rng.uniform(size=(across, across, 3)).astype(np.float32)
        image = cv2.resize(shapes, (width, height), interpolation=cv2.INTER_CUBIC)
        image += grain * rng.standard_normal(image.shape, np.float32)
        return image.clip(0, 1)

    return draw
