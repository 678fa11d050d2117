"""Contact sheets of a training run: the same few pictures, as its generator makes them by now."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.data.augment import random_resized_crop
from jaxstyle.data.sources import Source
from jaxstyle.inference.engine import stylize
from jaxstyle.inference.noise import sample_images
from jaxstyle.media.contact_sheet import contact_sheet
from jaxstyle.models.examples import condition_of, takes_noise
from jaxstyle.models.growth import grown

PREVIEW_ROWS = 4
_NOISE_COLUMNS = 8
_NOISE_ROWS = 8


class Previews:
    """Makes the contact sheets of one run.

    Rows of input | output | a frame of the style; with several styles input | output in each; with
    style images input | style | output. A generator of noise gives a grid of samples. The
    parameters are the host's own copy, so that one process of several can call it alone.
    """

    def __init__(
        self,
        generator: nn.Module,
        content: Source | None,
        style: Source | Sequence[Source],
        *,
        image_size: int,
        seed: int,
    ):
        self._generator = generator
        if takes_noise(generator):
            rng = np.random.default_rng(seed)
            count = _NOISE_ROWS * _NOISE_COLUMNS
            self._noise = rng.standard_normal((count, generator.latent), np.float32)
            return
        if content is None:
            raise ValueError("a generator that stylizes content is shown on some")
        side = max(image_size, 256)
        self._content = _squares(content, side, seed)
        if condition_of(generator) != "styles":
            self._style = _squares(cast(Source, style), side, seed)
        self._stylize = jax.jit(functools.partial(stylize, generator))

    def sheet(self, parameters: Any, stage: int | None = None) -> np.ndarray:
        """The contact sheet of a generator with these parameters, uint8 [H, W, 3].

        stage: the one that a growing generator is in.
        """
        if takes_noise(self._generator):
            generator, parameters = grown(self._generator, parameters, stage)
            samples = np.asarray(sample_images(generator, parameters, self._noise))
            return contact_sheet(np.split(samples, _NOISE_COLUMNS))
        match condition_of(self._generator):
            case "styles":
                outputs = [stylize(self._content) for stylize in self.stylizers(parameters)]
                return contact_sheet([self._content, *outputs])
            case "image":
                style = jnp.asarray(self._style, jnp.float32) / 127.5 - 1.0
                code = self._generator.apply({"params": parameters}, style, method="encode_style")
                output = self.stylized(parameters, self._content, code)
                return contact_sheet([self._content, self._style, output])
        output = self.stylized(parameters, self._content)
        return contact_sheet([self._content, output, self._style])

    def stylizers(self, parameters: Any) -> list[Callable[[np.ndarray], np.ndarray]]:
        """What stylizes uint8 [N, H, W, 3], one for each style that the generator has."""
        if condition_of(self._generator) != "styles":
            return [functools.partial(self.stylized, parameters)]
        weights = np.eye(self._generator.styles, dtype=np.float32)
        return [
            functools.partial(self.stylized, parameters, condition=row[None]) for row in weights
        ]

    def stylized(self, parameters: Any, images: np.ndarray, condition: Any = None) -> np.ndarray:
        """Stylizes uint8 [N, H, W, 3]; returns the same shape."""
        return np.asarray(self._stylize(parameters, images, jnp.ones(()), condition))


def _squares(source: Source, side: int, seed: int) -> np.ndarray:
    """A few images of a source, evenly spaced, as squares: uint8 [PREVIEW_ROWS, side, side, 3].

    The same seed cuts the two sides of a pair alike.
    """
    rng = np.random.default_rng(seed)
    indices = np.linspace(0, len(source) - 1, PREVIEW_ROWS).round().astype(int)
    images = (source[int(i)] for i in indices)
    return np.stack([random_resized_crop(image, side, (1.0, 1.0), rng) for image in images])
