"""The flag --config, which names a recipe, and the command lines that have it."""

from absl import flags
from ml_collections import config_flags

from jaxstyle.errors import UserError, reported_in_one_line

CONFIG = config_flags.DEFINE_config_file("config", None, "A recipe, such as configs/anime.py.")


def parse_flags(argv: list[str]) -> list[str]:
    """Parses the command line; a mistake there or in the recipe it names is told in one line."""
    with reported_in_one_line():
        try:
            arguments = flags.FLAGS(argv)
            # A recipe that cannot be read says so only when its content is asked for.
            CONFIG.value.keys()
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
        if len(arguments) > 1:
            raise UserError(f"unexpected argument {arguments[1]!r}; settings are --flag=value")
    return arguments
