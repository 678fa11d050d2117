"""Styles: what a person chooses among, as opposed to the bundles that they come from.

A plain bundle is one style; a bundle of several styles is as many; an arbitrary-style bundle is
one style for each style image. Styles of one bundle are mixed inside the generator, in one pass,
and any number of them; those of different bundles by blending outputs.
"""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.errors import UserError
from jaxstyle.inference.bundle import Bundle
from jaxstyle.inference.settings import Settings
from jaxstyle.models.examples import condition_of, takes_noise

# The shorter side of a style image, in pixels. Larger ones give the same statistics, later.
_SHORTEST, _LONGEST = 64, 512
# And the longer side: what is narrower than that allows is widened to the shortest.
_LONGEST_SIDE = 2048


@dataclasses.dataclass(frozen=True)
class Style:
    """One style: the `index`-th (from 0) of bundle number `bundle`."""

    bundle: int
    index: int


def styles_of(bundles: Sequence[Bundle], images: int = 0) -> list[Style]:
    """The styles of the bundles, in order. images: how many style images there are.

    Raises `UserError` if a bundle needs a style image and there is none, if there are images that
    no bundle takes, or if a bundle makes images from noise.
    """
    conditions = [condition_of(bundle.generator) for bundle in bundles]
    for bundle in bundles:
        if takes_noise(bundle.generator):
            raise UserError(f"{_name(bundle)} makes pictures from noise; it cannot stylize any")
    if images and "image" not in conditions:
        raise UserError("no model here takes a style image; give one that does, or no --style")
    if "image" in conditions and not images:
        name = _name(bundles[conditions.index("image")])
        raise UserError(f"{name} takes its style from an image; give one with --style=IMAGE")
    return [
        Style(i, index)
        for i, (bundle, condition) in enumerate(zip(bundles, conditions, strict=True))
        for index in range(_count(bundle, condition, images))
    ]


def style_names(bundles: Sequence[Bundle], image_names: Sequence[str] = ()) -> list[str]:
    """What the styles are called, told apart by numbers where two are called the same.

    Those of a plain bundle by its name, of a bundle of several by `metadata["styles"]`, of
    an arbitrary-style one by the names of the style images.
    """
    names: list[str] = []
    for style in styles_of(bundles, len(image_names)):
        bundle = bundles[style.bundle]
        condition = condition_of(bundle.generator)
        name = _name(bundle)
        if condition == "image":
            name = image_names[style.index]
        elif condition == "styles":
            known = bundle.metadata.get("styles") or ()
            name = known[style.index] if style.index < len(known) else f"{name} {style.index + 1}"
        count = sum(other == name or other.startswith(f"{name} (") for other in names)
        names.append(f"{name} ({count + 1})" if count else name)
    return names


def conditions_of(bundle: Bundle, images: Sequence[np.ndarray]) -> Any:
    """The conditions of a bundle's styles: a pytree, a style a row of each leaf; None for plain.

    images: style images, uint8 [H, W, 3] of any size. Each is shrunk until its shorter side is at
    most 512 pixels and its longer one at most 2048, and encoded.
    """
    condition = condition_of(bundle.generator)
    if condition is None:
        return None
    if condition == "styles":
        return np.eye(bundle.generator.styles, dtype=np.float32)

    @jax.jit
    def encode(image: jax.Array) -> Any:
        x = image[None].astype(jnp.float32) / 127.5 - 1.0
        return bundle.generator.apply({"params": bundle.parameters}, x, method="encode_style")

    encoded = [encode(_style_sized(image, bundle.generator.stride)) for image in images]
    return jax.tree.map(lambda *rows: jnp.concatenate(rows), *encoded)


def shown_styles(styles: Sequence[Style], settings: Settings) -> list[tuple[int, np.ndarray]]:
    """What the settings show: numbers of one bundle or two, each with weights of its styles.

    Weights are float32 [K], of sum 1. Of two bundles, the second is mixed in by `settings.mix`.
    """
    if settings.weights is not None:
        chosen = {style.bundle for style, w in zip(styles, settings.weights, strict=True) if w}
        if len(chosen) != 1:
            raise ValueError(f"weights {settings.weights} are of styles of {len(chosen)} bundles")
        weights = {i: weight for i, weight in enumerate(settings.weights) if weight}
        return [_of_bundle(styles, chosen.pop(), weights)]
    first, second = settings.style, (settings.style + 1) % len(styles)
    if settings.mix == 0 or len(styles) == 1:
        return [_of_bundle(styles, styles[first].bundle, {first: 1.0})]
    if styles[first].bundle == styles[second].bundle:
        weights = {first: 1.0 - settings.mix, second: settings.mix}
        return [_of_bundle(styles, styles[first].bundle, weights)]
    return [_of_bundle(styles, styles[i].bundle, {i: 1.0}) for i in (first, second)]


def _of_bundle(
    styles: Sequence[Style], bundle: int, weights: dict[int, float]
) -> tuple[int, np.ndarray]:
    count = collections.Counter(style.bundle for style in styles)[bundle]
    vector = np.zeros(count, np.float32)
    for i, weight in weights.items():
        vector[styles[i].index] = weight
    return bundle, vector


def _name(bundle: Bundle) -> str:
    return bundle.metadata.get("name") or "the model"


def _count(bundle: Bundle, condition: str | None, images: int) -> int:
    if condition == "styles":
        return bundle.generator.styles
    return images if condition == "image" else 1


def _style_sized(image: np.ndarray, stride: int) -> np.ndarray:
    """The image at a size to encode it at: multiples of the stride, neither tiny nor huge."""
    height, width = image.shape[:2]
    scale = np.clip(min(height, width), _SHORTEST, _LONGEST) / min(height, width)
    scale = min(scale, _LONGEST_SIDE / max(height, width))
    size = tuple(
        max(1, round(max(_SHORTEST, length * scale) / stride)) * stride
        for length in (width, height)
    )
    if size == (width, height):
        return image
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
