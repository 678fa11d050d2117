import cv2
import numpy as np
import pytest

from jaxstyle.data.scenes import Scenes
from jaxstyle.preparation.duplicates import SeenFrames, perceptual_hash

SCENES = [
    cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in Scenes("cel", count=12, size=(180, 320))
]


def distance(a, b):
    return (perceptual_hash(a) ^ perceptual_hash(b)).bit_count()


def test_the_hash_is_that_of_its_definition():
    # The cosine transform (DCT-II) by its formula, on a picture that needs no shrinking.
    grey = np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8)
    k, n = np.mgrid[:8, :32]
    basis = np.cos(np.pi * k * (2 * n + 1) / 64) * np.where(k == 0, np.sqrt(1 / 32), 0.25)
    low = (basis @ grey.astype(np.float64) @ basis.T).ravel()
    bits = low > np.median(low[1:])
    expected = sum(int(bit) << (63 - i) for i, bit in enumerate(bits))
    assert perceptual_hash(grey) == expected


@pytest.mark.parametrize("grey", SCENES[:4])
def test_size_compression_brightness_and_contrast_hardly_change_it(grey):
    jpeg = cv2.imdecode(cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], 0)
    changed = [
        cv2.resize(grey, (200, 120), interpolation=cv2.INTER_AREA),
        jpeg,
        (grey * 0.7).astype(np.uint8),
        (grey * 0.5 + 60).astype(np.uint8),
    ]
    assert max(distance(grey, other) for other in changed) <= 4


def test_other_pictures_are_far():
    distances = [distance(a, b) for i, a in enumerate(SCENES) for b in SCENES[:i]]
    assert min(distances) > 6


def test_remembers_across_everything_between():
    hashes = [perceptual_hash(grey) for grey in SCENES]
    seen = SeenFrames(tolerance=2)
    assert not seen.has_like(hashes[0])
    for bits in hashes:
        assert not seen.has_like(bits)
        seen.add(bits)
    assert seen.has_like(hashes[0] ^ 0b101)
    assert not seen.has_like(hashes[0] ^ 0b111)
    assert seen.has_like(hashes[0] ^ (1 << 63))
