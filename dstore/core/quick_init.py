"""Frozen dataclasses that are made in a bit more than half of the time.

A frozen dataclass sets each field by its name, through ``object``. One with slots has a descriptor for each of them,
which can be called as it is. Worth it where a value is made for every file of a large batch.
"""

from dataclasses import MISSING, fields
from typing import Any, TypeVar

T = TypeVar("T")


def quick_init(cls: type[T]) -> type[T]:
    """Give a frozen dataclass with slots, and without ``__post_init__``, another ``__init__`` that does the same."""
    assert not hasattr(cls, "__post_init__"), f"{cls.__name__} does more when it is made"
    known: dict[str, Any] = {"_missing": MISSING}
    parameters: list[str] = []
    steps: list[str] = []
    for field in fields(cls):  # type: ignore[arg-type]
        name = field.name
        assert field.init and not field.kw_only, f"{cls.__name__}.{name} is no plain parameter"
        known[f"_set_{name}"] = getattr(cls, name).__set__
        value = name
        if field.default_factory is not MISSING:
            known[f"_make_{name}"] = field.default_factory
            parameters.append(f"{name}=_missing")
            value = f"_make_{name}() if {name} is _missing else {name}"
        elif field.default is not MISSING:
            known[f"_default_{name}"] = field.default
            parameters.append(f"{name}=_default_{name}")
        else:
            parameters.append(name)
        steps.append(f"    _set_{name}(self, {value})\n")
    source = f"def __init__(self, {', '.join(parameters)}):\n{''.join(steps)}"
    exec(source, known)  # noqa: S102 - as dataclasses do it; all of it is from the definition of a class
    init = known["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__annotations__ = cls.__init__.__annotations__
    cls.__init__ = init  # type: ignore[method-assign]
    return cls
