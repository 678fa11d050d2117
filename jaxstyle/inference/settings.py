"""How frames are stylized: which style, how strong, how smooth. Values, none of them a program."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a frame is stylized.

    style: the number of the style shown. mix: from 0, that style alone, to 1, the one after it.
    weights: None, or one for each style, of sum 1, which rule in place of style and mix; those
    that are not 0 are of styles of one bundle. strength: from 0, the input, to 1, the style.
    split: how much of the picture's width shows the input, from the left, 0 to 1. smoothing: how
    much of the last output stays where the input did not change, 0 to 1.
    """

    style: int = 0
    mix: float = 0.0
    weights: tuple[float, ...] | None = None
    strength: float = 1.0
    split: float = 0.0
    smoothing: float = 0.0
