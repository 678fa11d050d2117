"""Painters: classical filters that have a look of their own, from which a generator can learn it.

They are far too slow for live pictures; `config.data.guides` has them paint the training content.
Those of `PAINTERS` know their colours, those of `ART_LOOKS` take them from the art.
"""

from jaxstyle.guides.painters.art_looks import ART_LOOKS
from jaxstyle.guides.painters.looks import cel, oil, starry, woodblock

VERSION = 4  # of what they paint: raise it with every change to that, or kept results go stale
PAINTERS = {"cel": cel, "oil": oil, "starry": starry, "woodblock": woodblock}

__all__ = ["ART_LOOKS", "PAINTERS", "VERSION"]
