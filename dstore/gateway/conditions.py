"""Conditional requests, as RFC 9110 section 13 has them: entity tags, dates, and what they decide. No I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from enum import Enum

from dstore.core.errors import InvalidRequest
from dstore.core.files import FileInfo

#: Stands for ``*``: any version at all.
ANY_TAG = "*"
_TAG = re.compile(r'[ \t]*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?:,|$)')
_NS_PER_S = 1_000_000_000
#: Ends of the year 0001 and 9999, between which a date can be written.
_DATE_RANGE_S = (-62_135_596_800, 253_402_300_799)


class Verdict(Enum):
    """What the conditions of a request say to what is there."""

    PROCEED = "proceed"
    NOT_MODIFIED = "not modified"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must hold of a file for a request to be carried out.

    Attributes:
        if_match: entity tags, of which the file must have one; None without the header. Weak tags never match.
        if_none_match: entity tags, none of which the file may have; None without the header.
        if_modified_since, if_unmodified_since: seconds since 1970; None without the header, or when it is no date.
    """

    if_match: frozenset[str] | None = None
    if_none_match: frozenset[str] | None = None
    if_modified_since: int | None = None
    if_unmodified_since: int | None = None

    @property
    def is_none(self) -> bool:
        """Whether nothing is asked for."""
        return self == Conditions()


def entity_tag(info: FileInfo) -> str:
    """Return the strong entity tag of a file: its version, which no other content of the path ever has."""
    return f'"{info.version}"'


def parse_conditions(headers: Mapping[str, str]) -> Conditions:
    """Read the headers of a request, whose names are in lower case.

    Raises:
        InvalidRequest: reason ``CONDITION_INVALID``.
    """
    return Conditions(
        if_match=_parse_tags("If-Match", headers.get("if-match"), takes_weak=False),
        if_none_match=_parse_tags("If-None-Match", headers.get("if-none-match"), takes_weak=True),
        if_modified_since=_parse_date(headers.get("if-modified-since")),
        if_unmodified_since=_parse_date(headers.get("if-unmodified-since")),
    )


def judge(conditions: Conditions, info: FileInfo | None, *, is_read: bool) -> Verdict:
    """Decide, in the order of RFC 9110 section 13.2.2, from the file that is there, or None.

    Args:
        is_read: whether the request is GET or HEAD, to which "you have it already" is an answer.
    """
    if conditions.if_match is not None:
        if info is None or not _has(conditions.if_match, info):
            return Verdict.FAILED
    elif conditions.if_unmodified_since is not None and (
        info is None or modified_s(info) > conditions.if_unmodified_since
    ):
        return Verdict.FAILED
    if conditions.if_none_match is not None:
        if info is not None and _has(conditions.if_none_match, info):
            return Verdict.NOT_MODIFIED if is_read else Verdict.FAILED
    elif (
        is_read
        and info is not None
        and conditions.if_modified_since is not None
        and modified_s(info) <= conditions.if_modified_since
    ):
        return Verdict.NOT_MODIFIED
    return Verdict.PROCEED


def may_use_range(if_range: str | None, info: FileInfo) -> bool:
    """Return whether a range is to be taken from the file that is there; else the whole of it is to be sent."""
    return if_range is None or if_range.strip() == entity_tag(info)


def modified_s(info: FileInfo) -> int:
    """Return when the file was modified, in whole seconds since 1970, as HTTP writes it."""
    return info.modified_ns // _NS_PER_S


def http_date(info: FileInfo) -> str | None:
    """Return the time of the last change for ``Last-Modified``; None when it is no date: it is the writer's claim."""
    seconds = modified_s(info)
    return formatdate(seconds, usegmt=True) if _is_date(seconds) else None


def iso_date(time_ns: int) -> str | None:
    """Return a time in UTC as in ISO 8601, to the second; None when it is no date."""
    seconds = time_ns // _NS_PER_S
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if _is_date(seconds) else None


def _is_date(seconds: int) -> bool:
    return _DATE_RANGE_S[0] <= seconds <= _DATE_RANGE_S[1]


def _has(tags: frozenset[str], info: FileInfo) -> bool:
    return ANY_TAG in tags or entity_tag(info) in tags


def _parse_tags(name: str, value: str | None, *, takes_weak: bool) -> frozenset[str] | None:
    if value is None:
        return None
    if value.strip() == ANY_TAG:
        return frozenset((ANY_TAG,))
    tags, position = set(), 0
    while position < len(value):
        match = _TAG.match(value, position)
        if match is None:
            break
        if takes_weak or not match[1]:
            tags.add(f'"{match[2]}"')
        position = match.end()
    if position < len(value) or not value:
        raise InvalidRequest(
            f"{name} is {value[:100]!r}, which is no list of entity tags; repeat the ETag of an answer with its "
            'quotation marks, as in "42", or write *.',
            reason="CONDITION_INVALID",
            metadata={"header": name},
        )
    return frozenset(tags)


def _parse_date(value: str | None) -> int | None:
    """Return seconds since 1970; RFC 9110 wants what is no date to be ignored."""
    if value is None:
        return None
    try:
        return int(parsedate_to_datetime(value).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None
