"""What completion offers, and how it is written for a shell."""

from pathlib import Path

import pytest

from dstore.cli.app import main
from dstore.cli.command_tree import command_tree
from dstore.cli.shell_words import TypedLine, as_typed, split_line
from dstore.cli.suggestions import Kind, suggest

TREE = command_tree()


@pytest.mark.parametrize(
    ("line", "words", "quote", "break_at"),
    [
        ("", ("",), "", 0),
        ("dstore", ("dstore",), "", 0),
        ("dstore ", ("dstore", ""), "", 0),
        ("dstore  ls\t/a", ("dstore", "ls", "/a"), "", 0),
        (r"dstore cat /a\ b", ("dstore", "cat", "/a b"), "", 0),
        ("dstore cat '/a b", ("dstore", "cat", "/a b"), "'", 0),
        ("dstore cat '/a b' ", ("dstore", "cat", "/a b", ""), "", 0),
        ('dstore cat "/a\\"\\b $x', ("dstore", "cat", '/a"\\b $x'), '"', 0),
        ("dstore cat ''", ("dstore", "cat", ""), "", 0),
        ("dstore cat \\", ("dstore", "cat", ""), "", 0),
        ("dstore cp dstore:/a", ("dstore", "cp", "dstore:/a"), "", 7),
        (r"dstore cp /a\:b", ("dstore", "cp", "/a:b"), "", 0),
        ("dstore cp '/a:b", ("dstore", "cp", "/a:b"), "'", 0),
        ("dstore restore --to=/x:y", ("dstore", "restore", "--to=/x:y"), "", 8),
    ],
)
def test_lines(line: str, words: tuple[str, ...], quote: str, break_at: int) -> None:
    assert split_line(line, " :=") == TypedLine(words, quote, break_at)


@pytest.mark.parametrize(
    ("candidate", "quote", "break_at", "kept", "typed"),
    [
        ("/plain-1.txt", "", 0, 0, "/plain-1.txt"),
        ("/a b$(c)*", "", 0, 0, r"/a\ b\$\(c\)\*"),
        ("/é", "", 0, 0, "/é"),
        ("~x", "", 0, 0, r"\~x"),
        ("~/x y", "", 0, 1, r"~/x\ y"),
        ("dstore:/a:b", "", 7, 7, r"/a\:b"),
        ("dstore:/a", "", 0, 7, "dstore:/a"),
        ("--to=/a b", "", 5, 5, r"/a\ b"),
        ("/a b", "'", 0, 0, "/a b"),
        ("/it's", "'", 0, 0, None),
        ("/it's", '"', 0, 0, "/it's"),
        ("/$HOME", '"', 0, 0, None),
        ("/bell\x07", "", 0, 0, None),
        ("/two\nlines", "", 0, 0, None),
    ],
)
def test_candidates(candidate: str, quote: str, break_at: int, kept: int, typed: str | None) -> None:
    assert as_typed(candidate, TypedLine(("",), quote, break_at), kept=kept) == typed


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("sta",), ["stat", "status"]),
        (("node", "dr"), ["drain"]),
        (("nonsense", ""), []),
        (("put", "--dur"), ["--durability"]),
        (("put", "--durability", "s"), ["synced"]),
        (("put", "--durability=r"), ["replicated"]),
        (("put", "--durability", "synced", "--durab"), ["--durability"]),
        (("put", "--", "--dur"), []),
        (("ls", "--lo"), ["--long"]),
        (("ls", "--nonsense="), []),
        (("completion", ""), ["bash", "zsh", "words"]),
    ],
)
def test_fixed_words(words: tuple[str, ...], wanted: list[str]) -> None:
    assert sorted(suggest(TREE, words).words) == sorted(wanted)


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        (("ls", ""), {Kind.REMOTE}),
        (("ls", "/a", ""), set()),
        (("cat", "/a", "/b", ""), {Kind.REMOTE}),
        (("put", ""), {Kind.LOCAL}),
        (("put", "a", ""), {Kind.LOCAL, Kind.REMOTE}),
        (("get", ""), {Kind.REMOTE}),
        (("get", "-", ""), {Kind.LOCAL}),
        (("get", "--endpoint", "h:1", "/a", ""), {Kind.LOCAL}),
        (("get", "--endpoint", ""), set()),
        (("restore", "/a", "--to="), {Kind.REMOTE}),
        (("ls", "--key-file", ""), {Kind.LOCAL}),
        (("ls", "--profile", ""), {Kind.PROFILE}),
        (("sync", "a", ""), {Kind.LOCAL, Kind.REMOTE}),
        (("status", ""), set()),
    ],
)
def test_kinds(words: tuple[str, ...], kinds: set[Kind]) -> None:
    assert suggest(TREE, words).kinds == kinds


def test_the_cluster_that_was_named_is_asked() -> None:
    found = suggest(TREE, ("ls", "--endpoint=h:1", "--profile", "p", "/a"))
    assert (found.options, found.typed) == ({"endpoint": "h:1", "profile": "p"}, "/a")


def test_local_files_and_profiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "di file").write_text("")
    (tmp_path / ".hidden").write_text("")
    (tmp_path / "config.toml").write_text('[profiles.one]\nendpoint = "h:1"\n[profiles.other]\nendpoint = "h:1"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DSTORE_CONFIG_DIR", str(tmp_path))

    def completed(line: str) -> list[str]:
        assert main(["completion", "words", "--breaks=:=", "--", line]) == 0
        return capsys.readouterr().out.splitlines()

    assert completed("dstore put d") == ["di\\ file ", "directory/"]
    assert completed("dstore put ~/di") == ["~/di\\ file ", "~/directory/"]
    assert completed("dstore put 'di") == ["di file", "directory/"]
    assert completed("dstore put none/") == []
    assert completed("dstore put .h") == [".hidden "]
    assert completed("dstore cp d") == ["di\\ file ", "directory/", "dstore:/"]
    assert completed("dstore ls --profile=o") == ["one ", "other "]
    assert sorted(completed("dstore stat")) == ["stat ", "status "]
    assert completed("dstore") == []
    assert completed("dstore ls relative") == []


def test_a_cluster_that_is_away_is_no_noise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DSTORE_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("DSTORE_ENDPOINT", "127.0.0.1:1")
    assert main(["completion", "words", "dstore ls /"]) == 69
