"""A multipart form as a stream of parts: nothing of it is ever kept, in memory or on a disk. No I/O.

bytes ──feed──▶ PartBegin, PartData…, PartEnd, PartBegin, …   and ``finish`` says whether the end was there
"""

from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from dstore.core.errors import InvalidRequest, LimitExceeded
from dstore.gateway.header_values import extended_text, form_text, parse_value
from dstore.gateway.limits import PART_HEADERS_SIZE_BYTES_MAX, PARTS_MAX

_BOUNDARY_SIZE_BYTES_MAX = 70


@dataclass(frozen=True, slots=True)
class PartBegin:
    """A part begins.

    Attributes:
        name: of the field.
        file_name: None when the part is no file.
        content_type: empty when the part does not say it.
    """

    name: str
    file_name: str | None
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class PartData:
    """A piece of the part that began last."""

    data: memoryview = field(repr=False)


@dataclass(frozen=True, slots=True)
class PartEnd:
    """All of the part was there."""


PartEvent = PartBegin | PartData | PartEnd


def boundary_of(content_type: str) -> bytes | None:
    """Return what separates the parts; None when this is not the type of a form with parts.

    Raises:
        InvalidRequest: reason ``HEADER_INVALID`` or ``FORM_INVALID``.
    """
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        return None
    _, parameters = parse_value(content_type.encode("latin-1"), what="Content-Type")
    boundary = parameters.get("boundary", b"")
    if not 1 <= len(boundary) <= _BOUNDARY_SIZE_BYTES_MAX:
        raise _invalid(f"its boundary has {len(boundary)} bytes, not 1 to {_BOUNDARY_SIZE_BYTES_MAX}")
    return boundary


class FormReader:
    """Reads one form; python-multipart finds the boundaries, and what it finds becomes events."""

    def __init__(self, boundary: bytes) -> None:
        self._events: list[PartEvent] = []
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._headers_size_bytes = 0
        self._part_count = 0
        self._is_over = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_header_name,
                "on_header_value": self._add_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._add_data,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    def feed(self, data: bytes) -> list[PartEvent]:
        """Return what the next bytes of the body bring.

        Raises:
            InvalidRequest: reason ``FORM_INVALID``, ``HEADER_INVALID`` or ``NAME_NOT_UTF8``.
            LimitExceeded: reason ``FORM_TOO_LARGE``.
        """
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise _invalid(str(error)) from error
        events, self._events = self._events, []
        return events

    def finish(self) -> None:
        """Check, at the end of the body, that the form came to its end.

        Raises:
            InvalidRequest: reason ``FORM_INVALID``.
        """
        if not self._is_over:
            raise _invalid("it ends before its last boundary")

    def _begin_part(self) -> None:
        self._headers.clear()
        self._headers_size_bytes = 0
        self._part_count += 1
        if self._part_count > PARTS_MAX:
            raise LimitExceeded(
                f"The form has more than {PARTS_MAX} parts; send it in several requests.",
                reason="FORM_TOO_LARGE",
            )

    def _add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_name += data[start:end]

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_value += data[start:end]

    def _count_header(self, size_bytes: int) -> None:
        self._headers_size_bytes += size_bytes
        if self._headers_size_bytes > PART_HEADERS_SIZE_BYTES_MAX:
            raise LimitExceeded(
                f"The headers of a part are longer than {PART_HEADERS_SIZE_BYTES_MAX} bytes; shorten the name.",
                reason="FORM_TOO_LARGE",
            )

    def _end_header(self) -> None:
        self._headers[bytes(self._header_name).lower()] = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _end_headers(self) -> None:
        value = self._headers.get(b"content-disposition")
        if value is None:
            raise _invalid("a part has no Content-Disposition")
        kind, parameters = parse_value(value, what="Content-Disposition")
        if kind != "form-data" or "name" not in parameters:
            raise _invalid("the Content-Disposition of a part is not form-data with a name")
        file_name = None
        if "filename*" in parameters:
            file_name = extended_text(parameters["filename*"])
        elif "filename" in parameters:
            file_name = form_text(parameters["filename"])
        content_type = self._headers.get(b"content-type", b"").decode("latin-1")
        self._events.append(PartBegin(form_text(parameters["name"]), file_name, content_type))

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(PartData(memoryview(data)[start:end]))

    def _end_part(self) -> None:
        self._events.append(PartEnd())

    def _end(self) -> None:
        self._is_over = True


def _invalid(why: str) -> InvalidRequest:
    return InvalidRequest(
        f"The form cannot be read: {why.rstrip('.')}. Send multipart/form-data, as curl -F 'file=@LOCAL' does.",
        reason="FORM_INVALID",
    )
