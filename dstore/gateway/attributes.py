"""What is kept of a file besides its content: its type, and metadata of the user. No I/O.

Both are attributes in the manifest, which the writer seals: ``content-type``, and ``meta.NAME`` for each header
``X-Dstore-Meta-NAME``. A type that the name promises anyway is not kept, so that small files stay as small as they are.
"""

import mimetypes
import re
from collections.abc import Iterable, Mapping

from dstore.core.errors import InvalidRequest

_BYTES = "application/octet-stream"
_COMPRESSED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}
#: Its own table, so that what a file is called does not depend on the machine.
_TYPES = mimetypes.MimeTypes(filenames=())
#: What programs say that know nothing of the content.
_MEANINGLESS = {"", _BYTES, "application/x-www-form-urlencoded", "multipart/form-data"}

_TYPE_ATTRIBUTE = "content-type"
_META_ATTRIBUTE = "meta."
_META_HEADER = b"x-dstore-meta-"
_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}([ \t]*;[\x20-\x7e]{0,200})?")
_META_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,100}")
_META_VALUE = re.compile(rb"[\x21-\x7e\x80-\xff]([\x20-\x7e\x80-\xff\t]*[\x21-\x7e\x80-\xff])?|")


def guess_type(name: str) -> str:
    """Return the type that the name of a file promises."""
    kind, encoding = _TYPES.guess_type("/" + name)
    if encoding is not None:
        return _COMPRESSED.get(encoding, _BYTES)
    return kind or _BYTES


def attributes_of(name: str, said_type: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> dict[str, bytes]:
    """Return what is to be kept of a file.

    Args:
        said_type: its ``Content-Type``; empty without one.
        headers: names in lower case and values, of the request.

    Raises:
        InvalidRequest: reason ``CONTENT_TYPE_INVALID`` or ``METADATA_INVALID``.
    """
    attributes: dict[str, bytes] = {}
    said_type = said_type.strip()
    if said_type.partition(";")[0].strip().lower() not in _MEANINGLESS and said_type != guess_type(name):
        if not _TYPE.fullmatch(said_type):
            raise InvalidRequest(
                f"Content-Type is {said_type[:100]!r}, which is no type; write for example text/plain.",
                reason="CONTENT_TYPE_INVALID",
            )
        attributes[_TYPE_ATTRIBUTE] = said_type.encode()
    for header, value in headers:
        if header.startswith(_META_HEADER):
            key = header[len(_META_HEADER) :].decode("latin-1")
            if not _META_NAME.fullmatch(key) or _META_ATTRIBUTE + key in attributes:
                raise InvalidRequest(
                    f"X-Dstore-Meta-{key[:100]} cannot be kept; a name has up to 100 characters and comes once.",
                    reason="METADATA_INVALID",
                )
            attributes[_META_ATTRIBUTE + key] = value
    return attributes


def content_type_of(name: str, attributes: Mapping[str, bytes]) -> str:
    """Return the type of a file that is kept with these attributes."""
    said_type = attributes.get(_TYPE_ATTRIBUTE, b"").decode("latin-1")
    return said_type if _TYPE.fullmatch(said_type) else guess_type(name)


def headers_from(name: str, attributes: Mapping[str, bytes]) -> dict[str, str]:
    """Return the headers that tell what was kept. Others may have stored what is no header; that is left out."""
    headers = {"Content-Type": content_type_of(name, attributes)}
    for attribute, value in attributes.items():
        key = attribute.removeprefix(_META_ATTRIBUTE)
        if key != attribute and _META_NAME.fullmatch(key) and _META_VALUE.fullmatch(value):
            headers[f"X-Dstore-Meta-{key}"] = value.decode("latin-1")
    return headers
