"""Values of headers that have parameters: ``form-data; name="file"; filename="a b.txt"``. No I/O."""

import re
from urllib.parse import unquote_to_bytes

from dstore.core.errors import InvalidRequest

_PARAMETER = re.compile(rb';[ \t]*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^;" \t]*))[ \t]*')
_QUOTED_PAIR = re.compile(rb'\\(["\\])')
#: What browsers write instead of the three characters that would end a quoted text or a line.
_FORM_ESCAPE = re.compile(rb"%(22|0D|0A)", re.IGNORECASE)


def parse_value(value: bytes, *, what: str) -> tuple[str, dict[str, bytes]]:
    """Return what stands before the parameters, in lower case, and the parameters.

    Args:
        what: the header, for messages.

    Raises:
        InvalidRequest: reason ``HEADER_INVALID``.
    """
    head, semicolon, rest = value.partition(b";")
    rest = semicolon + rest.rstrip(b" \t;") if rest.strip(b" \t;") else b""
    parameters: dict[str, bytes] = {}
    position = 0
    while position < len(rest):
        match = _PARAMETER.match(rest, position)
        name = "" if match is None else match[1].decode("ascii").lower()
        if match is None or name in parameters:
            raise InvalidRequest(
                f'{what} cannot be read: {value[:100].decode("latin-1")!r}. Write NAME=VALUE or NAME="VALUE", each '
                "name once.",
                reason="HEADER_INVALID",
            )
        parameters[name] = match[3] if match[2] is None else _QUOTED_PAIR.sub(rb"\1", match[2])
        position = match.end()
    return head.strip().lower().decode("latin-1"), parameters


def form_text(value: bytes) -> str:
    """Return a name in a form as text.

    Raises:
        InvalidRequest: reason ``NAME_NOT_UTF8``.
    """
    return _text(_FORM_ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), value))


def extended_text(value: bytes) -> str:
    """Return the text of a parameter whose name ends with ``*``: ``UTF-8''a%20b`` (RFC 8187).

    Raises:
        InvalidRequest: reason ``NAME_NOT_UTF8``.
    """
    charset, _, rest = value.partition(b"'")
    _, apostrophe, encoded = rest.partition(b"'")
    if charset.lower() != b"utf-8" or not apostrophe:
        raise _not_utf8(value)
    return _text(unquote_to_bytes(encoded))


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise _not_utf8(value) from None


def _not_utf8(value: bytes) -> InvalidRequest:
    return InvalidRequest(
        f"The name {value[:100].decode('latin-1')!r} in the form is not UTF-8; names are text, encoded as UTF-8.",
        reason="NAME_NOT_UTF8",
    )
