"""What the namespace promises, one operation after another: the executable specification that histories are held to.

A state maps paths to ``"directory"`` or to ``(content number, version, size)``. Versions that nobody was told are
negative.
"""

from dataclasses import dataclass
from typing import Any

from simulation.history import Certainty, Operation

DIRECTORY = "directory"
Entry = Any


class State:
    """An immutable tree, with a hash that is computed once."""

    __slots__ = ("entries", "key")

    def __init__(self, entries: dict[str, Entry]) -> None:
        self.entries = entries
        self.key = frozenset(entries.items())

    def children(self, path: str) -> list[str]:
        """Return the paths directly below a directory."""
        prefix = path.rstrip("/") + "/"
        return [each for each in self.entries if each.startswith(prefix) and "/" not in each[len(prefix) :]]

    def below(self, path: str) -> list[str]:
        """Return all paths below a directory."""
        return [each for each in self.entries if each.startswith(path + "/")]


@dataclass(frozen=True, slots=True)
class Refusal(Exception):
    """An operation that the state does not allow; named after the error that clients get."""

    name: str


def step(state: State, operation: Operation) -> State | None:
    """Return the state after an operation; None when it cannot have had this outcome in this state."""
    try:
        after, fits = _EFFECTS[operation.kind](state, operation)
    except Refusal as refusal:
        refused = operation.certainty is Certainty.REFUSED and operation.result == refusal.name
        return state if refused else None
    if operation.certainty is Certainty.REFUSED:
        return state if _may_be_refused(state, operation) else None
    return after if fits or operation.certainty is Certainty.OPEN else None


def _may_be_refused(state: State, operation: Operation) -> bool:
    """A put for one version may be refused where the model does not know the version."""
    found = state.entries.get(operation.path)
    wanted = operation.options.get("if_version")
    return operation.result == "Conflict" and bool(wanted) and isinstance(found, tuple) and found[1] < 0


def _resolve(state: State, path: str) -> Entry:
    names = path.strip("/").split("/")
    at = ""
    for depth, name in enumerate(names):
        at = f"{at}/{name}"
        found = state.entries.get(at)
        if found is None:
            raise Refusal("NotFound")
        if found != DIRECTORY and depth < len(names) - 1:
            raise Refusal("NotADirectory")
    return state.entries[at]


def _resolve_parent(state: State, path: str) -> None:
    parent = path.rsplit("/", 1)[0]
    if parent and _resolve(state, parent) != DIRECTORY:
        raise Refusal("NotADirectory")


def _changed(state: State, changes: dict[str, Entry | None]) -> State:
    entries = dict(state.entries)
    for path, entry in changes.items():
        if entry is None:
            entries.pop(path, None)
        else:
            entries[path] = entry
    return State(entries)


def _version(operation: Operation) -> int:
    """Return the version that a write made; one that nobody was told is made up."""
    return operation.result if isinstance(operation.result, int) else -1 - operation.index


def _put(state: State, operation: Operation) -> tuple[State, bool]:
    path, wanted = operation.path, operation.options.get("if_version")
    _resolve_parent(state, path)
    found = state.entries.get(path)
    if found is not None and operation.options.get("if_absent"):
        raise Refusal("AlreadyExists")
    if found == DIRECTORY:
        raise Refusal("IsADirectory")
    if wanted and (found is None or (found[1] >= 0 and found[1] != wanted)):
        raise Refusal("Conflict")
    return _changed(state, {path: (operation.options["content"], _version(operation), operation.options["size"])}), True


def _get(state: State, operation: Operation) -> tuple[State, bool]:
    found = _resolve(state, operation.path)
    if found == DIRECTORY:
        raise Refusal("IsADirectory")
    return state, found[0] == operation.result


def _stat(state: State, operation: Operation) -> tuple[State, bool]:
    found = _resolve(state, operation.path)
    if found == DIRECTORY or operation.result == DIRECTORY:
        return state, found == operation.result
    if operation.certainty is not Certainty.DONE:
        return state, False
    result: Any = operation.result
    size, version = result
    return state, found[2] == size and (found[1] < 0 or found[1] == version)


def _list(state: State, operation: Operation) -> tuple[State, bool]:
    if _resolve(state, operation.path) != DIRECTORY:
        raise Refusal("NotADirectory")
    names = tuple(
        sorted((each.rsplit("/", 1)[1], state.entries[each] == DIRECTORY) for each in state.children(operation.path))
    )
    return state, names == operation.result


def _mkdir(state: State, operation: Operation) -> tuple[State, bool]:
    path = operation.path
    _resolve_parent(state, path)
    found = state.entries.get(path)
    if found is not None:
        if found == DIRECTORY and operation.options.get("exist_ok"):
            return state, True
        raise Refusal("AlreadyExists")
    return _changed(state, {path: DIRECTORY}), True


def _remove(state: State, operation: Operation) -> tuple[State, bool]:
    path = operation.path
    found = _resolve(state, path)
    below = state.below(path) if found == DIRECTORY else []
    if below and not operation.options.get("recursive"):
        raise Refusal("DirectoryNotEmpty")
    gone = [path, *below]
    files = sum(state.entries[each] != DIRECTORY for each in gone)
    after = _changed(state, dict.fromkeys(gone))
    return after, operation.result == (files, len(gone) - files)


def _rename(state: State, operation: Operation) -> tuple[State, bool]:
    source, target = operation.path, str(operation.options["target"])
    moved = _resolve(state, source)
    if target.startswith(source + "/"):
        raise Refusal("InvalidRequest")
    _resolve_parent(state, target)
    replaced = state.entries.get(target)
    if replaced is not None and target != source:
        if replaced == DIRECTORY and moved != DIRECTORY:
            raise Refusal("IsADirectory")
        if replaced != DIRECTORY and moved == DIRECTORY:
            raise Refusal("NotADirectory")
        if replaced == DIRECTORY and state.children(target):
            raise Refusal("DirectoryNotEmpty")
    changes: dict[str, Entry | None] = {source: None}
    for each in state.below(source) if moved == DIRECTORY else []:
        changes[each] = None
    for each in state.below(source) if moved == DIRECTORY else []:
        changes[target + each[len(source) :]] = state.entries[each]
    changes[target] = DIRECTORY if moved == DIRECTORY else (moved[0], _version(operation), moved[2])
    return _changed(state, changes), True


def _restore(state: State, operation: Operation) -> tuple[State, bool]:
    """Put back a file that was removed or replaced: nothing may be at the target, and the file nowhere else."""
    path, content = operation.path, operation.options["content"]
    _resolve_parent(state, path)
    if path in state.entries:
        raise Refusal("AlreadyExists")
    is_live = any(found != DIRECTORY and found[0] == content for found in state.entries.values())
    if is_live and operation.options["is_unique"]:
        return state, False
    return _changed(state, {path: (content, _version(operation), operation.options["size"])}), True


_EFFECTS = {
    "put": _put,
    "get": _get,
    "stat": _stat,
    "list": _list,
    "mkdir": _mkdir,
    "remove": _remove,
    "rename": _rename,
    "restore": _restore,
}
