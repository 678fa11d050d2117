"""What is installed here, and what is missing for what: what `jaxstyle.doctor` does.

Whatever is examined may be broken: the packages are imported where they are asked for, and what
they answer with, of whatever type, is told.
"""

import functools
import importlib
import importlib.metadata
import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jaxstyle
from jaxstyle.benchmark.machine import describe_machine
from jaxstyle.commands.cameras_here import cameras_here
from jaxstyle.extras import how_to_install, missing_modules
from jaxstyle.inference import shipped_styles
from jaxstyle.media.file_types import CONTAINERS

# What stylizing cannot do without: the module, and the package that it is in.
ESSENTIAL = {
    "jax": "jax",
    "jaxlib": "jaxlib",
    "flax": "flax",
    "numpy": "numpy",
    "cv2": "opencv-python",
    "av": "av",
    "PIL": "pillow",
    "safetensors": "safetensors",
    "tqdm": "tqdm",
}
# What each extra is for.
PURPOSES = {
    "train": "train, evaluate and prepare data",
    "onnx": "export to ONNX",
    "virtual": "be a camera that other programs can choose",
    "tensorboard": "see curves of training in TensorBoard",
    "keras": "read pretrained features in .h5 files",
    "slurm": "run sweeps as Slurm arrays",
    "tfds": "build data sets that TFDS prepares with TensorFlow",
}
CACHE = Path("~/.cache/jaxstyle")

# By codec: FFmpeg's decoders and software encoders, the best first.
_DECODERS = {"h264": ["h264"], "hevc": ["hevc"], "vp9": ["vp9"], "av1": ["libdav1d", "av1"]}
_ENCODERS = {
    "h264": ["libx264", "libopenh264"],
    "hevc": ["libx265"],
    "vp9": ["libvpx-vp9"],
    "av1": ["libsvtav1", "libaom-av1"],
}


def examine(*, as_json: bool) -> int:
    """Prints what there is; returns the exit status, 1 if something essential is broken."""
    found = findings()
    print(json.dumps(found, indent=1) if as_json else as_text(found))
    return 1 if found["broken"] else 0


def findings() -> dict[str, Any]:
    """What there is, of what JSON can hold; "broken" lists what stylizing cannot do without."""
    broken: list[str] = []

    def asked(what: str, question: Callable[[], Any]) -> Any:
        """The answer; where there is none, None, and the reason among what is broken."""
        try:
            return question()
        # Of packages that are damaged or do not fit together, anything can come.
        except Exception as error:
            broken.append(f"{what}: {type(error).__name__}: {' '.join(str(error).split())}")
            return None

    versions = {"python": platform.python_version(), "jaxstyle": jaxstyle.__version__}
    # OpenCV before PyAV, as jaxstyle.media.pyav says.
    for module, package in ESSENTIAL.items():
        versions[package] = asked(package, functools.partial(_version, module, package))
    devices = asked("JAX's devices", _devices) or {"backend": None, "devices": []}
    codecs = asked("FFmpeg's codecs", _codecs) or {}
    for _, encoder, _ in CONTAINERS.values():
        written = [name for codec in codecs.values() for name in codec["encoders"]]
        if codecs and encoder not in written and f"FFmpeg lacks {encoder}" not in broken:
            broken.append(f"FFmpeg lacks {encoder}")
    return {
        "versions": versions,
        "machine": describe_machine(),
        "jax": devices,
        "cameras": cameras_here(),
        "codecs": codecs,
        "window": _window(),
        "cache": _cache(CACHE.expanduser()),
        "styles": shipped_styles.names(),
        "extras": {extra: missing_modules(extra) for extra in PURPOSES},
        "broken": broken,
    }


def as_text(found: dict[str, Any]) -> str:
    """The findings for people: a line each, their names in one column."""
    lines = [(name, version or "BROKEN") for name, version in found["versions"].items()]
    machine = found["machine"]
    lines += [
        ("", ""),
        ("CPU", f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB"),
        ("JAX computes on", found["jax"]["backend"] or "nothing"),
        *(("device", device) for device in found["jax"]["devices"]),
        *(("camera", _told_camera(camera)) for camera in found["cameras"]),
    ]
    if not found["cameras"]:
        lines.append(("camera", "none found"))
    lines.append(("window", found["window"]["obstacle"] or f"yes, by {found['window']['by']}"))
    for codec, names in found["codecs"].items():
        reads, writes = (names[kind][:1] or ["no"] for kind in ("decoders", "encoders"))
        lines.append((codec, f"read by {reads[0]}, written by {writes[0]}"))
    cache = found["cache"]
    lines += [
        ("cache", f"{cache['folder']}, {cache['megabytes']} MB"),
        ("styles", ", ".join(found["styles"]) or "none"),
        ("", ""),
    ]
    for extra, missing in found["extras"].items():
        state = how_to_install(extra) if missing else "installed"
        lacks = f"; lacks {', '.join(missing)}" if missing else ""
        lines.append((extra, f"{state}, to {PURPOSES[extra]}{lacks}"))
    lines += [("", "")] if found["broken"] else []
    lines += [("BROKEN", problem) for problem in found["broken"]]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:{width}}  {text}".rstrip() for name, text in lines)


def _version(module: str, package: str) -> str:
    imported = importlib.import_module(module)
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # OpenCV's, in another of its packages
        return str(imported.__version__)


def _devices() -> dict[str, Any]:
    import jax

    told = [f"{device} ({device.device_kind})" for device in jax.devices()]
    return {"backend": jax.default_backend(), "devices": told}


def _codecs() -> dict[str, dict[str, list[str]]]:
    """By codec, the "decoders" and "encoders" that PyAV's FFmpeg has for it."""
    from jaxstyle.media.pyav import av

    def those_there(names: list[str], mode: str) -> list[str]:
        return [name for name in names if _has_codec(av, name, mode)]

    return {
        codec: {
            "decoders": those_there(_DECODERS[codec], "r"),
            "encoders": those_there(_ENCODERS[codec], "w"),
        }
        for codec in _DECODERS
    }


def _has_codec(av: Any, name: str, mode: str) -> bool:
    try:
        av.codec.Codec(name, mode)
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def _window() -> dict[str, str]:
    """ "by": OpenCV's way to open windows, empty for none. "obstacle": empty if it can open one."""
    try:
        from jaxstyle.realtime.window import obstacle, window_system

        return {"by": window_system(), "obstacle": obstacle()}
    # What is broken is told above.
    except Exception as error:
        return {"by": "", "obstacle": f"no: {type(error).__name__}"}


def _cache(folder: Path) -> dict[str, Any]:
    size = sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
    return {"folder": str(folder), "megabytes": round(size / 1e6, 1)}


def _told_camera(camera: dict[str, Any]) -> str:
    return f"{camera['number']}, {camera['name']}" + (
        f": {camera['obstacle']}" if camera["obstacle"] else ""
    )
