"""The log of a server: one line for each event on stderr, as JSON for programs or as text for people.

Every line says which server wrote it and, where that is known, for which operation and about which chunk. The names of
the fields are part of the public surface; docs/logs.md lists them.
"""

import json
import logging
import sys
from datetime import UTC, datetime

from dstore.core.request_ids import RequestContext, current_request
from dstore.core.text import printable

#: What lines say besides, where it is known: set with ``extra=``.
_FURTHER = (
    "method",
    "peer",
    "outcome",
    "failed_server",
    "duration_s",
    "bytes",
    "http_method",
    "route",
    "status",
    "identity",
)


class JsonFormatter(logging.Formatter):
    """One JSON object for each line, in ASCII.

    Args:
        role: "master", "chunkserver" or "gateway".
        node: name of the server.
    """

    def __init__(self, role: str, node: str) -> None:
        super().__init__()
        self._role = role
        self._node = node

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        line: dict[str, object] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "role": self._role,
            "node": self._node,
            **_context_fields(_context(record)),
            **_further_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """The same for people, in local time; an exception follows in lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = {**_further_fields(record), **_context_fields(_context(record))}
        time = self.formatTime(record)
        words = [time, record.levelname, f"{record.name}:", printable(record.getMessage())]
        words += [f"{name}={printable(str(value))}" for name, value in fields.items()]
        line = " ".join(words)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def setup_logging(level: str, form: str, *, role: str, node: str) -> None:
    """Log to stderr from ``level`` on.

    Args:
        form: "json", "text", or "auto": text on a terminal, JSON elsewhere.
    """
    as_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter(role, node))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # What others say at debug is for those who work on them, and may tell more than a log of dstore should.
    logging.getLogger("dstore").setLevel(level.upper())
    logging.getLogger().setLevel(max(logging.INFO, logging.getLogger("dstore").level))


def _context(record: logging.LogRecord) -> RequestContext:
    given = getattr(record, "request", None)
    return given if isinstance(given, RequestContext) else current_request()


def _context_fields(context: RequestContext) -> dict[str, object]:
    fields: dict[str, object] = {}
    if context.request_id:
        fields["request_id"] = context.request_id
    if context.trace_parent:
        fields["trace_id"] = context.trace_parent.split("-")[1]
    if context.chunk is not None:
        fields["chunk"] = str(context.chunk)
        fields["group"] = context.chunk.group_id
    return fields


def _further_fields(record: logging.LogRecord) -> dict[str, object]:
    known = record.__dict__
    return {name: known[name] for name in _FURTHER if known.get(name) is not None}
