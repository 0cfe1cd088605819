"""Text from others cannot steer a terminal."""

import pytest

from dstore.core.text import printable


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain name.txt", "plain name.txt"),
        ("über", "über"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\nb\rc", "a\\nb\\rc"),
        ("bidi\u202e", "bidi\\u202e"),
        ("half\udcff", "half\\udcff"),
    ],
)
def test_names_cannot_steer_the_terminal(name: str, text: str) -> None:
    assert printable(name) == text
