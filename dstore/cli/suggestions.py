"""What may come next on a command line: found by walking the grammar that also reads it."""

import argparse
from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    """What a word names, when it is none of a few fixed ones."""

    REMOTE = "a path in the cluster"
    LOCAL = "a file on this machine"
    PROFILE = "a profile"
    SERVER = "a chunkserver of the cluster"
    NODE = "a server that was started on this machine"


#: By how the arguments are called in the help.
_KINDS = {
    "PATH": {Kind.REMOTE},
    "TARGET": {Kind.REMOTE},
    "LOCAL": {Kind.LOCAL},
    "FILE": {Kind.LOCAL},
    "DIRECTORY": {Kind.LOCAL},
    "FROM": {Kind.REMOTE, Kind.LOCAL},
    "TO": {Kind.REMOTE, Kind.LOCAL},
    "SERVER": {Kind.SERVER},
    "NODE": {Kind.NODE},
}
#: Here a path in the cluster is written with a prefix, because it may also be one on this machine.
_PLACES = {"FROM", "TO"}


@dataclass(slots=True)
class Suggestions:
    """What may come next.

    Attributes:
        words: fixed words that fit what was typed.
        kinds: what else may stand there.
        typed: the part of the last word that is being completed: all but an option with its "=".
        is_place: paths in the cluster begin with ``dstore:``.
        options: of the words before, as far as they choose a cluster.
    """

    words: list[str] = field(default_factory=list)
    kinds: set[Kind] = field(default_factory=set)
    typed: str = ""
    is_place: bool = False
    options: dict[str, str] = field(default_factory=dict)


def suggest(parser: argparse.ArgumentParser, words: tuple[str, ...]) -> Suggestions:
    """Return what may come in the place of the last of ``words``, which begin after the name of the program."""
    *before, last = words
    walk = _Walk(parser)
    for word in before:
        if not walk.take(word):
            return Suggestions()
    result = Suggestions(typed=last, options=walk.options)
    name, equals, value = last.partition("=")
    if walk.waiting is not None:
        _add(result, walk.waiting)
    elif last.startswith("-") and not walk.only_arguments:
        if equals and (action := walk.option(name)) is not None and action.nargs != 0:
            result.typed = value
            _add(result, action)
        elif not equals:
            result.words = [option for option in sorted(walk.option_strings()) if option.startswith(last)]
    else:
        for action in walk.next_arguments():
            _add(result, action)
    return result


def _add(result: Suggestions, action: argparse.Action) -> None:
    if action.choices is not None:
        result.words += [str(choice) for choice in action.choices if str(choice).startswith(result.typed)]
    elif "--profile" in action.option_strings:
        result.kinds.add(Kind.PROFILE)
    elif isinstance(action.metavar, str):
        result.kinds |= _KINDS.get(action.metavar, set())
        result.is_place |= action.metavar in _PLACES


class _Walk:
    """Reads words one after the other, as far as that is needed to know what the next one is."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._parser = parser
        self._arguments = 0
        self.waiting: argparse.Action | None = None
        self.only_arguments = False
        self.options: dict[str, str] = {}

    def take(self, word: str) -> bool:
        """Take a word; False when there is no such command."""
        if self.waiting is not None:
            self._keep(self.waiting, word)
            self.waiting = None
        elif word == "--" and not self.only_arguments:
            self.only_arguments = True
        elif word.startswith("-") and word != "-" and not self.only_arguments:
            name, equals, value = word.partition("=")
            action = self.option(name)
            if action is not None and action.nargs != 0:
                if equals:
                    self._keep(action, value)
                else:
                    self.waiting = action
        else:
            return self._take_argument(word)
        return True

    def option(self, name: str) -> argparse.Action | None:
        """Return the option of that name, if the command has one."""
        return next((action for action in self._actions() if name in action.option_strings), None)

    def option_strings(self) -> list[str]:
        """Return the names of all options of the command."""
        return [name for action in self._actions() for name in action.option_strings]

    def next_arguments(self) -> list[argparse.Action]:
        """Return the arguments that the next word may be."""
        found, least, is_open = [], 0, False
        for action in self._actions():
            if action.option_strings:
                continue
            takes_many = action.nargs in ("+", "*")
            if self._arguments == least or ((is_open or takes_many) and self._arguments >= least):
                found.append(action)
            is_open |= takes_many
            least += action.nargs != "*"
        return found

    def _take_argument(self, word: str) -> bool:
        for action in self.next_arguments():
            if isinstance(action, argparse._SubParsersAction):
                if word not in action.choices:
                    return False
                self._parser, self._arguments = action.choices[word], 0
                return True
        self._arguments += 1
        return True

    def _keep(self, action: argparse.Action, value: str) -> None:
        self.options[action.dest] = value

    def _actions(self) -> list[argparse.Action]:
        return self._parser._actions
