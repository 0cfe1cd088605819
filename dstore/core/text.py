"""Text from others, made safe for people to look at."""


def printable(text: str) -> str:
    """Return ``text`` with everything that could steer a terminal, or fake a line of a log, written as an escape."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )
