"""Tokens: whose they are, what they are good for, and files of them that are refused."""

from pathlib import Path

import pytest
from store_in_process import RANDOM

from dstore.core.errors import InvalidRequest, PermissionDenied
from dstore.gateway.identities import (
    Right,
    check_right,
    load_identities,
    make_token,
    parse_identities,
    token_table,
)
from dstore.gateway.token_file import TokenFile


def test_a_token_and_its_table() -> None:
    tokens = {name: make_token(RANDOM) for name in ("ci", "reader@home")}
    content = token_table("ci", tokens["ci"], ["read", "write"]) + token_table(
        "reader@home", tokens["reader@home"], ["read"]
    )
    assert not any(token in content for token in tokens.values())
    identities = parse_identities(content.encode(), where="test")
    assert len(identities) == 2
    writer = identities.authenticate(f"Bearer {tokens['ci']}")
    reader = identities.authenticate(f"bearer  {tokens['reader@home']} ")
    assert (writer.name, reader.name) == ("ci", "reader@home")
    check_right(writer, Right.WRITE)
    check_right(reader, Right.READ)
    with pytest.raises(PermissionDenied) as caught:
        check_right(reader, Right.WRITE)
    assert caught.value.reason == "RIGHT_MISSING"


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        (None, "TOKEN_MISSING"),
        ("", "TOKEN_MISSING"),
        ("Basic YTpi", "TOKEN_MISSING"),
        ("Bearer", "TOKEN_UNKNOWN"),
        ("Bearer x", "TOKEN_UNKNOWN"),
        ("Bearer \xe4", "TOKEN_UNKNOWN"),
    ],
)
def test_who_is_not_known(authorization: str | None, reason: str) -> None:
    identities = parse_identities(token_table("ci", "secret", ["read"]).encode(), where="test")
    with pytest.raises(PermissionDenied) as caught:
        identities.authenticate(authorization)
    assert caught.value.reason == reason


GOOD = token_table("ci", "secret", ["read"])


@pytest.mark.parametrize(
    "content",
    [
        "",
        "tokens = 3",
        "[tokens]",
        "not toml",
        GOOD + "\n[more]",
        GOOD.replace("sha256", "sha512"),
        GOOD.replace('"read"', '"admin"'),
        GOOD.replace('["read"]', "[]"),
        GOOD.replace('["read"]', '[["read"]]'),
        GOOD.replace('["read"]', '"read"'),
        GOOD.replace('sha256 = "', 'sha256 = "A'),
        GOOD.replace('"ci"', '"c i"'),
    ],
)
def test_files_that_are_refused(content: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_identities(content.encode(), where="test")
    assert caught.value.reason == "TOKEN_FILE_INVALID"


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    path.write_text(GOOD)
    path.chmod(0o640)
    with pytest.raises(PermissionDenied) as caught:
        load_identities(path)
    assert caught.value.reason == "TOKEN_FILE_EXPOSED"
    path.chmod(0o600)
    assert load_identities(path).authenticate("Bearer secret").name == "ci"
    with pytest.raises(PermissionDenied) as caught:
        load_identities(tmp_path / "missing")
    assert caught.value.reason == "TOKEN_FILE_UNREADABLE"


@pytest.mark.parametrize("name", ["", "a b", 'a"', "x" * 65])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(InvalidRequest):
        token_table(name, "secret", ["read"])


async def test_a_file_that_changes_counts_and_a_broken_one_does_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "dstore.gateway")
    path = tmp_path / "tokens.toml"
    path.write_text(GOOD)
    path.chmod(0o600)
    file = TokenFile(path)
    known = file.identities
    await file.read()
    assert caplog.messages == []

    def break_it(how: str) -> None:
        match how:
            case "TOKEN_FILE_INVALID":
                path.write_text("[tokens")
            case "TOKEN_FILE_EXPOSED":
                path.chmod(0o644)
            case "TOKEN_FILE_UNREADABLE":
                path.unlink()

    for how in ("TOKEN_FILE_INVALID", "TOKEN_FILE_EXPOSED", "TOKEN_FILE_UNREADABLE"):
        break_it(how)
        caplog.clear()
        await file.read()
        await file.read()
        assert (file.problem, len(caplog.messages)) == (how, 1)
        assert known.authenticate("Bearer secret").name == "ci"
    path.write_text(token_table("other", "another", ["read"]))
    path.chmod(0o600)
    await file.read()
    assert file.problem is None
    assert known.authenticate("Bearer another").name == "other"
    with pytest.raises(PermissionDenied) as caught:
        known.authenticate("Bearer secret")
    assert caught.value.reason == "TOKEN_UNKNOWN"
