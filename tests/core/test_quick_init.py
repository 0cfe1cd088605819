"""A class with the quick ``__init__`` cannot be told from one without, but for the time that it takes."""

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, replace

import pytest

from dstore.core.quick_init import quick_init


@quick_init
@dataclass(frozen=True, slots=True)
class Quick:
    number: int
    text: str = "none"
    parts: list[int] = field(default_factory=list, repr=False)


@dataclass(frozen=True, slots=True)
class Usual:
    number: int
    text: str = "none"
    parts: list[int] = field(default_factory=list, repr=False)


@pytest.mark.parametrize(
    ("positions", "names"),
    [((1,), {}), ((1, "a"), {}), ((1, "a", [2]), {}), ((), {"number": 1, "parts": [3]}), ((1,), {"text": "b"})],
)
def test_it_is_made_as_usual(positions: tuple[object, ...], names: dict[str, object]) -> None:
    quick, usual = Quick(*positions, **names), Usual(*positions, **names)  # type: ignore[arg-type]
    assert repr(quick) == repr(usual).replace("Usual", "Quick")
    assert (quick.number, quick.text, quick.parts) == (usual.number, usual.text, usual.parts)


@pytest.mark.parametrize(("positions", "names"), [((), {}), ((1, "a", [], 4), {}), ((1,), {"other": 2})])
def test_it_refuses_as_usual(positions: tuple[object, ...], names: dict[str, object]) -> None:
    for kind in (Quick, Usual):
        with pytest.raises(TypeError, match="__init__"):
            kind(*positions, **names)  # type: ignore[arg-type]


def test_it_behaves_as_usual() -> None:
    quick = Quick(1)
    assert quick == Quick(1) != Quick(2)
    assert quick.parts is not Quick(1).parts
    assert replace(quick, number=2) == Quick(2)
    assert copy.deepcopy(quick) == quick == pickle.loads(pickle.dumps(quick))
    with pytest.raises(FrozenInstanceError):
        quick.number = 2  # type: ignore[misc]
