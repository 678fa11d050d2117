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


def listed_names() -> str:
    """The names of the styles that ship, as text."""
    return ", ".join(names()) or "none in this installation"


def model_help() -> str:
    """What a model argument may be, for the help texts of commands."""
    return (
        f"a style that ships ({listed_names()}), a .safetensors bundle, or "
        "https://HOST/FILE.safetensors#sha256=DIGEST"
    )
