"""The embedded data set: procedural moving scenes, drawn as camera footage and as an anime cel.

Nothing to download, any size, the same pixels for a seed. Both renderings of a frame share their
geometry to the pixel, and the optical flow between frames is exact.

    seed -> layout (scenery, buildings, actors on a stage) -> geometry (bodies, shapes, poses)
         -> render (photo, cel, flow) -> shot (frame and clip of a seed) -> source, cache (Scenes)
"""

from jaxstyle.data.scenes.shot import RENDERINGS, Clip, clip
from jaxstyle.data.scenes.source import Scenes

__all__ = ["RENDERINGS", "Clip", "Scenes", "clip"]
