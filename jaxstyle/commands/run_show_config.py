"""Prints all settings of a recipe: what `jaxstyle.show_config` does."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jaxstyle.training.config_checks import check_config
from jaxstyle.training.config_flag import read_config
from jaxstyle.training.default_config import default_config


def show_config(recipe: str, settings: Sequence[str]) -> None:
    """Prints the config that training would have, a setting a line.

    recipe, settings: as `read_config` takes them. Raises `UserError` for what training refuses.
    """
    config = read_config(recipe, settings)
    check_config(config)
    print(as_text(config.to_dict(), default_config().to_dict()))


def as_text(config: Mapping[str, Any], default: Mapping[str, Any]) -> str:
    """The settings by their names on the command line; behind what is changed, the default."""
    defaults = dict(_settings(default))
    lines = []
    for name, value in _settings(config):
        was = ""
        if name not in defaults:
            was = "  # not in the default"
        elif defaults[name] != value:
            was = f"  # {defaults[name]!r} by default"
        lines.append(f"{name} = {value!r}{was}")
    return "\n".join(lines)


def _settings(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _settings(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
