"""The option --config, which names a recipe, and the command lines that have it."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict, config_flags

from jaxstyle.errors import UserError, reported_in_one_line

CONFIG = config_flags.DEFINE_config_file("config", None, "A recipe, such as configs/anime.py.")

_NO_RECIPE = "is no recipe: that is a Python file whose get_config() returns settings"


def read_config(recipe: str, settings: Sequence[str] = ()) -> ConfigDict:
    """The config of a recipe after what the command line changes; not checked further.

    recipe: "configs/anime.py", or "configs/anime.py:base" with the argument of its `get_config`.
    settings: such as "--config.batch_size=16". Raises `UserError` for a recipe that cannot be read,
    a setting that it does not have, a value of another type, and what is no setting.
    """
    file, _, _ = recipe.partition(":")
    if not Path(file).is_file():
        raise UserError(f"no recipe {file}: there is no such file")
    argv = ["jaxstyle", f"--config={recipe}", *settings]
    parsed = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=parsed, sys_argv=argv)
    try:
        with _told_in_one_line(settings):
            _check_no_more(parsed(argv))
            # A recipe that cannot be read says so only when its content is asked for.
            parsed.config.keys()
    except UserError as error:
        no_python = Path(file).suffix != ".py" and isinstance(error.__cause__, SyntaxError)
        # The second where get_config returns nothing.
        if no_python or re.search("no attribute '(get_config|keys)'", str(error.__cause__)):
            raise UserError(f"{file} {_NO_RECIPE}") from error
        raise
    return parsed.config


def parse_flags(argv: list[str]) -> list[str]:
    """Parses absl's flags; a mistake there or in the recipe it names is told in one line."""
    with reported_in_one_line(), _told_in_one_line(argv):
        arguments = flags.FLAGS(argv)
        CONFIG.value.keys()
        _check_no_more(arguments)
    return arguments


def _check_no_more(arguments: Sequence[str]) -> None:
    if len(arguments) > 1:
        raise UserError(f"unexpected argument {arguments[1]!r}; settings are --flag=value")


@contextlib.contextmanager
def _told_in_one_line(arguments: Sequence[str]) -> Iterator[None]:
    """Makes `UserError` of what absl and ml_collections raise for a command line or a recipe.

    arguments: of the command line, among which a setting that the recipe does not have is found.
    """
    try:
        yield
    except (
        flags.Error,
        ImportError,
        LookupError,
        OSError,
        SyntaxError,
        TypeError,
        ValueError,
    ) as error:
        if isinstance(error, KeyError):
            _check_settings(error, arguments)
        # ml_collections wraps the reason in a traceback, of which it is the last line.
        raise UserError(str(error).strip().splitlines()[-1].strip()) from error
    except AttributeError as error:
        _check_settings(error, arguments)
        # ... or appends the whole config.
        reason = str(error).partition(" Other fields present")[0].strip("\"'")
        raise UserError(f"unknown setting or attribute in the config: {reason}") from error


def _check_settings(error: Exception, arguments: Sequence[str]) -> None:
    """Raises `UserError` if it is a setting on the command line that the recipe does not have.

    error: what ml_collections raises, or a wrapper of it. It names a part of the setting, and
    perhaps one that is near: 'patchnce'\\nDid you mean "patch_nce" ...
    """
    reason: object = error
    while isinstance(reason, Exception):
        reason = reason.args[0] if reason.args else ""
    first, _, hint = str(reason).partition("\n")
    unknown = first.strip("'\"").rpartition("Attempting to lookup: ")[2]
    near = re.match(r'Did you mean "(.+?)"', hint)
    for argument in arguments:
        setting = re.match(r"--?config\.([\w.]+)", argument)
        if not setting:
            continue
        if found := re.match(rf"(.*\.)?{re.escape(unknown)}(?=\.|$)", setting[1]):
            meant = f", did you mean {found[1] or ''}{near[1]}?" if near else ""
            raise UserError(
                f"no setting {setting[1]}{meant}; `jaxstyle config show RECIPE` lists them"
            )
