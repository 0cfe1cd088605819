"""The words of a command line that is still being typed, and candidates as the shell takes them back."""

import re
from dataclasses import dataclass

#: Everything else gets a backslash. Letters that are not ASCII mean nothing to a shell.
_UNSAFE = re.compile(r"[^A-Za-z0-9_./+,%^~\x80-\U0010ffff-]")
#: Within double quotes these still mean something.
_UNSAFE_IN_DOUBLE_QUOTES = frozenset('"$`\\!')


@dataclass(frozen=True, slots=True)
class TypedLine:
    """A command line up to the cursor.

    Attributes:
        words: without quotes and backslashes; the last one is being typed, and may be empty.
        quote: the quote that is still open in the last word, if there is one.
        break_at: so many letters of the last word are before what the shell replaces.
    """

    words: tuple[str, ...]
    quote: str
    break_at: int


def split_line(line: str, breaks: str) -> TypedLine:
    """Read a line as a shell does; ``breaks`` are the characters at which it begins to replace text within a word."""
    words, current, quote, break_at, is_word = [], "", "", 0, False
    letters = iter(line)
    for letter in letters:
        if quote:
            if letter == quote:
                quote = ""
            elif letter == "\\" and quote == '"':
                following = next(letters, "")
                current += following if following in _UNSAFE_IN_DOUBLE_QUOTES else letter + following
            else:
                current += letter
        elif letter in "'\"":
            quote, is_word = letter, True
        elif letter.isspace():
            if is_word:
                words.append(current)
            current, break_at, is_word = "", 0, False
        else:
            is_word = True
            current += next(letters, "") if letter == "\\" else letter
            if letter in breaks:
                break_at = len(current)
    return TypedLine((*words, current), quote, break_at)


def as_typed(candidate: str, line: TypedLine, *, kept: int) -> str | None:
    """Return what the shell is to put in the place of what was typed; None for what it cannot take.

    Args:
        candidate: the whole word.
        kept: so many letters at the start are the user's own, or mean something as they are.
    """
    if not candidate.isprintable():
        return None
    if line.quote:
        forbidden = {line.quote} if line.quote == "'" else _UNSAFE_IN_DOUBLE_QUOTES
        return None if forbidden & set(candidate) else candidate
    start = max(kept, line.break_at)
    plain = candidate[line.break_at : start]
    quoted = _UNSAFE.sub(lambda match: "\\" + match[0], candidate[start:])
    # At the start of a word it is somebody's home.
    return plain + ("\\" + quoted if start == 0 and quoted.startswith("~") else quoted)
