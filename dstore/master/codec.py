"""Plain values as JSON text, for answers and settings that are stored.

Dataclasses are written as arrays of their fields, bytes in base64, enums by their value. Reading is strict:
text that does not fit the type is a defect of the program or of the disk, and raises.
"""

import base64
import dataclasses
import functools
import json
import types
import typing
from enum import Enum
from typing import Any, TypeVar, cast

T = TypeVar("T")


def encode(value: object) -> str:
    """Return ``value`` as JSON text."""
    return json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False)


def decode(kind: type[T], text: str) -> T:
    """Return the value of type ``kind`` that ``encode`` wrote.

    Raises:
        ValueError: the text is not such a value.
    """
    return cast("T", _typed(kind, json.loads(text)))


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    kind: Any = type(value)
    return [_plain(getattr(value, name)) for name, _ in _fields(kind)]


@functools.cache
def _fields(kind: type) -> tuple[tuple[str, Any], ...]:
    assert dataclasses.is_dataclass(kind), f"{kind.__name__} cannot be stored"
    hints = typing.get_type_hints(kind)
    return tuple((field.name, hints[field.name]) for field in dataclasses.fields(kind))


def _typed(kind: Any, plain: Any) -> object:
    origin = typing.get_origin(kind)
    if origin is types.UnionType:
        wanted = next(part for part in typing.get_args(kind) if part is not types.NoneType)
        return None if plain is None else _typed(wanted, plain)
    if origin is tuple:
        return tuple(_typed(typing.get_args(kind)[0], part) for part in _expect(list, plain))
    if isinstance(kind, typing.NewType):
        return _typed(kind.__supertype__, plain)
    if kind is bytes:
        return base64.b64decode(_expect(str, plain), validate=True)
    if kind in (bool, int, float, str, types.NoneType):
        return _expect(kind, plain)
    if issubclass(kind, Enum):
        return kind(plain)
    fields = _fields(kind)
    parts = _expect(list, plain)
    if len(parts) != len(fields):
        raise ValueError(f"{kind.__name__} has {len(fields)} fields, not {len(parts)}")
    return kind(**{name: _typed(part, value) for (name, part), value in zip(fields, parts, strict=True)})


def _expect(kind: type[T], plain: object) -> T:
    if type(plain) is not kind:
        raise ValueError(f"a {kind.__name__} was expected, not {type(plain).__name__}")
    return plain
