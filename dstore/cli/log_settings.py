"""How a server that is run by the command logs: its options, then the environment, then the defaults."""

from collections.abc import Mapping

from dstore.cli.arguments import LOG_FORMATS, LOG_LEVELS
from dstore.core.errors import InvalidRequest


def log_level_of(given: str | None, environ: Mapping[str, str]) -> str:
    """Return from which level on it logs.

    Raises:
        InvalidRequest: reason ``CONFIG_INVALID``.
    """
    return _choose(given, environ, "DSTORE_LOG_LEVEL", LOG_LEVELS, "info")


def log_format_of(given: str | None, environ: Mapping[str, str]) -> str:
    """Return in which form it logs; raises as ``log_level_of``."""
    return _choose(given, environ, "DSTORE_LOG_FORMAT", LOG_FORMATS, "auto")


def _choose(
    given: str | None, environ: Mapping[str, str], variable: str, choices: tuple[str, ...], default: str
) -> str:
    value = given or environ.get(variable) or default
    if value not in choices:
        raise InvalidRequest(
            f"{variable} is {value[:80]!r}; set it to one of {', '.join(choices)}, or unset it.",
            reason="CONFIG_INVALID",
            metadata={"variable": variable},
        )
    return value
