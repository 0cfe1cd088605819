"""Plain values as JSON text, for answers and settings that are stored.

Dataclasses are written as arrays of their fields, bytes in base64, enums by their value. Reading is strict:
text that does not fit the type is a defect of the program or of the disk, and raises.
"""

import binascii
import dataclasses
import functools
import json
import types
import typing
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar, cast

T = TypeVar("T")


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
_AS_THEY_ARE = frozenset({str, int, float, bool, types.NoneType})


def encode(value: object) -> str:
    """Return ``value`` as JSON text."""
    return _ENCODER.encode(_plain(value))


def decode(kind: type[T], text: str) -> T:
    """Return the value of type ``kind`` that ``encode`` wrote.

    Raises:
        ValueError: the text is not such a value.
    """
    return decoder(kind)(text)


def decoder(kind: type[T]) -> Callable[[str], T]:
    """Return what ``decode`` does for one type, for those that read it often."""
    reader = _reader(cast("Any", kind))
    return lambda text: cast("T", reader(json.loads(text)))


def _plain(value: object) -> object:
    kind: Any = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is bytes:
        return binascii.b2a_base64(cast("bytes", value), newline=False).decode("ascii")
    if kind is tuple:
        return [_plain(part) for part in cast("tuple[object, ...]", value)]
    if isinstance(value, Enum):
        return value.value
    return [_plain(getattr(value, name)) for name, _ in _fields(kind)]


@functools.cache
def _fields(kind: type) -> tuple[tuple[str, Any], ...]:
    assert dataclasses.is_dataclass(kind), f"{kind.__name__} cannot be stored"
    hints = typing.get_type_hints(kind)
    return tuple((field.name, hints[field.name]) for field in dataclasses.fields(kind))


@functools.cache
def _reader(kind: Any) -> Callable[[Any], object]:
    """Return what makes a value of type ``kind`` of what JSON has for it."""
    origin = typing.get_origin(kind)
    if origin is types.UnionType:
        wanted = _reader(next(part for part in typing.get_args(kind) if part is not types.NoneType))
        return lambda plain: None if plain is None else wanted(plain)
    if origin is tuple:
        part = _reader(typing.get_args(kind)[0])
        return lambda plain: tuple([part(each) for each in _expect(list, plain)])
    if isinstance(kind, typing.NewType):
        return _reader(kind.__supertype__)
    if kind is bytes:
        return lambda plain: binascii.a2b_base64(_expect(str, plain), strict_mode=True)
    if kind in _AS_THEY_ARE:
        return functools.partial(_expect, kind)
    if issubclass(kind, Enum):
        return cast("Callable[[Any], object]", kind)
    return _dataclass_reader(kind)


def _dataclass_reader(kind: Any) -> Callable[[Any], object]:
    readers = [_reader(part) for _, part in _fields(kind)]

    def read(plain: Any) -> object:
        parts = _expect(list, plain)
        if len(parts) != len(readers):
            raise ValueError(f"{kind.__name__} has {len(readers)} fields, not {len(parts)}")
        return kind(*[reader(part) for reader, part in zip(readers, parts, strict=True)])

    return read


def _expect(kind: type[T], plain: object) -> T:
    if type(plain) is not kind:
        raise ValueError(f"a {kind.__name__} was expected, not {type(plain).__name__}")
    return plain
