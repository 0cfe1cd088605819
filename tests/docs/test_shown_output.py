"""What may differ between a page and a run, and what may not."""

from pathlib import Path

import pytest
from page_blocks import Step, steps
from shown_output import fits


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("/a  8.8 KiB  in 13 ms", "/a   30.1 MiB  in 1.2 s"),
        ("key dev.key (fingerprint 0065093f)", "key dev.key (fingerprint abcdef12)"),
        ("cs-2 killed (pid 24531)", "cs-2 killed (pid 7)"),
        ('{"pid": 4711, "version": 17, "etag": "\\"17\\""}', '{"pid": 3, "version": 9, "etag": "\\"9\\""}'),
        ("id 7df7c217-b0b4-494f-afa1-173e9c3ee543", "id 00000000-b0b4-494f-afa1-173e9c3ee543"),
        ("at 2026-11-23T07:25:13Z, 49% used", "at 2031-01-02T03:04:05Z, 5% used"),
        ('{"a": 1, …}', '{"a": 1, "b": 2}'),
        ("…", ""),
        ("first\n…\nlast", "first\nlast"),
        ("first\n…\nlast", "first\n2\n3\nlast"),
        ("", ""),
    ],
)
def test_fits(shown: str, printed: str) -> None:
    assert fits(shown.splitlines(), printed.splitlines())


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("3 replicas", "2 replicas"),
        ("127.0.0.1:7070", "127.0.0.1:7071"),
        ("HEALTH_OK", "HEALTH_WARN"),
        ("/a  8.8 KiB", "/b  8.8 KiB"),
        ("/a  8.8 KiB", "/a  8.8 ms"),
        ("11 B", "12 B"),
        ("deadbeef", "deadbeee"),
        ("(49% used)", "(all used)"),
        ("", "something"),
        ("something", ""),
        ("first\n…", "second\nfirst"),
        ("one line", "one line\none more"),
    ],
)
def test_does_not_fit(shown: str, printed: str) -> None:
    assert not fits(shown.splitlines(), printed.splitlines())


PAGE = """
```console
$ one
printed
$ two \\
      goes on
$ three <<EOF
> four
> EOF
```

<!-- first: make five -->
```python
five
```
```text
5
```

<!-- not run: it takes a year -->
```console
$ six
```
"""


def test_steps_of_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    assert list(steps(page)) == [
        Step(3, "one", ("printed",)),
        Step(5, "two \\\n     goes on", ()),
        Step(7, "three <<EOF\nfour\nEOF", ()),
        Step(13, "make five", None),
        Step(13, "five", ("5",), is_python=True),
    ]


@pytest.mark.parametrize("page", ["```console\nno command\n```\n", "```sh\nls\n```\n", "```console\n$ ls\n"])
def test_a_page_that_cannot_be_run(page: str, tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(page)
    with pytest.raises(ValueError, match=r"page\.md:"):
        list(steps(path))
