"""The option --config, which names a recipe, and the command lines that have it."""

import contextlib
from collections.abc import Iterator, Sequence

from absl import flags
from ml_collections import ConfigDict, config_flags

from jaxstyle.errors import UserError, reported_in_one_line

CONFIG = config_flags.DEFINE_config_file("config", None, "A recipe, such as configs/anime.py.")


def read_config(recipe: str, settings: Sequence[str] = ()) -> ConfigDict:
    """The config of a recipe after what the command line changes; not checked further.

    recipe: "configs/anime.py", or "configs/anime.py:base" with the argument of its `get_config`.
    settings: such as "--config.batch_size=16". Raises `UserError` for a recipe that cannot be read,
    a setting that it does not have, a value of another type, and what is no setting.
    """
    argv = ["jaxstyle", f"--config={recipe}", *settings]
    parsed = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=parsed, sys_argv=argv)
    with _told_in_one_line():
        _check_no_more(parsed(argv))
        # A recipe that cannot be read says so only when its content is asked for.
        parsed.config.keys()
    return parsed.config


def parse_flags(argv: list[str]) -> list[str]:
    """Parses absl's flags; a mistake there or in the recipe it names is told in one line."""
    with reported_in_one_line(), _told_in_one_line():
        arguments = flags.FLAGS(argv)
        CONFIG.value.keys()
        _check_no_more(arguments)
    return arguments


def _check_no_more(arguments: Sequence[str]) -> None:
    if len(arguments) > 1:
        raise UserError(f"unexpected argument {arguments[1]!r}; settings are --flag=value")


@contextlib.contextmanager
def _told_in_one_line() -> Iterator[None]:
    """Makes `UserError` of what absl and ml_collections raise for a command line or a recipe."""
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
        # ml_collections wraps the reason in a traceback, of which it is the last line.
        raise UserError(str(error).strip().splitlines()[-1].strip()) from error
    except AttributeError as error:
        # ... or appends the whole config.
        reason = str(error).partition(" Other fields present")[0].strip("\"'")
        raise UserError(f"unknown setting or attribute in the config: {reason}") from error
