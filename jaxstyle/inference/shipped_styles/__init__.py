"""Where the styles that ship are, and what they are called."""

from pathlib import Path

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The names of the styles that ship, in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def bundle_path(name: str) -> Path:
    """Where the bundle of the style `name` is, if it ships."""
    return FOLDER / f"{name}.safetensors"


def picture_path(name: str) -> Path:
    """Where the picture of the style `name` is, if it has one."""
    return FOLDER / f"{name}.jpg"
