"""Bearer tokens: whose they are, and what their owners may do.

The file of tokens is TOML, for its owner's eyes only, and holds digests, from which no token can be made:

    [tokens.ci]
    sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    rights = ["read", "write"]
"""

import hashlib
import hmac
import os
import re
import stat
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from dstore.core.environment import Random
from dstore.core.errors import InvalidRequest, PermissionDenied
from dstore.core.limits import KIB

_FILE_SIZE_BYTES_MAX = 1024 * KIB
_TOKEN_SIZE_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_KEYS = {"sha256", "rights"}


class Right(Enum):
    """What a token may be good for."""

    READ = "read"
    WRITE = "write"
    #: For what watches the gateway and has no business with files.
    METRICS = "metrics"


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody whom the gateway knows by a token."""

    name: str
    rights: frozenset[Right]


#: Whoever asks, where no tokens are wanted.
ANYBODY = Identity("anybody", frozenset(Right))


class Identities:
    """All tokens that are good."""

    def __init__(self, identities: Sequence[tuple[bytes, Identity]]) -> None:
        """Take pairs of the SHA-256 of a token and whose it is."""
        self._identities = tuple(identities)

    def __len__(self) -> int:
        return len(self._identities)

    def become(self, others: "Identities") -> bool:
        """Know those of another file from here on, and nobody else; return whether this changed anything."""
        is_change = self._identities != others._identities
        self._identities = others._identities
        return is_change

    def authenticate(self, authorization: str | None) -> Identity:
        """Return who sends this ``Authorization`` header.

        Every digest is compared, each in constant time, so that how long it takes says nothing about any.

        Raises:
            PermissionDenied: reason ``TOKEN_MISSING`` or ``TOKEN_UNKNOWN``.
        """
        if not authorization:
            raise PermissionDenied(
                "This gateway wants a token; send the header 'Authorization: Bearer TOKEN'.", reason="TOKEN_MISSING"
            )
        scheme, _, token = authorization.strip().partition(" ")
        if scheme.lower() != "bearer":
            raise PermissionDenied(
                "This gateway knows only bearer tokens; send the header 'Authorization: Bearer TOKEN'.",
                reason="TOKEN_MISSING",
            )
        digest = token_digest(token.strip())
        found = None
        for known, identity in self._identities:
            if hmac.compare_digest(known, digest):
                found = identity
        if found is None:
            raise PermissionDenied(
                "This token is not known here; ask the operator of the gateway for one.", reason="TOKEN_UNKNOWN"
            )
        return found


def check_right(identity: Identity, right: Right) -> None:
    """Return when somebody may do what needs this right.

    Raises:
        PermissionDenied: reason ``RIGHT_MISSING``.
    """
    if right not in identity.rights:
        raise PermissionDenied(
            f"The token of {identity.name} has no right to {right.value}; ask the operator of the gateway for it.",
            reason="RIGHT_MISSING",
            metadata={"identity": identity.name, "right": right.value},
        )


def token_digest(token: str) -> bytes:
    """Return what the file holds of a token. Tokens are random and long, so no slow digest is needed."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()


def make_token(random: Random) -> str:
    """Return a new token."""
    return f"dstore_{random.token_bytes(_TOKEN_SIZE_BYTES).hex()}"


def token_table(name: str, token: str, rights: Sequence[str]) -> str:
    """Return the lines that make a token good, for the file of tokens.

    Raises:
        InvalidRequest: reason ``TOKEN_FILE_INVALID``.
    """
    _check(name, {"sha256": token_digest(token).hex(), "rights": list(rights)}, where="the command")
    listed = ", ".join(f'"{right}"' for right in rights)
    return f'[tokens."{name}"]\nsha256 = "{token_digest(token).hex()}"\nrights = [{listed}]\n'


def load_identities(path: Path) -> Identities:
    """Read a file of tokens.

    Raises:
        PermissionDenied: reason ``TOKEN_FILE_EXPOSED`` or ``TOKEN_FILE_UNREADABLE``.
        InvalidRequest: reason ``TOKEN_FILE_INVALID``.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:
            mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
            content = stream.read(_FILE_SIZE_BYTES_MAX + 1)
    except OSError as error:
        raise PermissionDenied(
            f"The file of tokens {path} cannot be read: {error.strerror}; check the path, its owner and its mode.",
            reason="TOKEN_FILE_UNREADABLE",
            metadata={"path": str(path)},
        ) from error
    if mode & 0o077:
        raise PermissionDenied(
            f"The file of tokens {path} is open to other users (mode {mode:04o}), who could give themselves rights; "
            f"close it with `chmod 600 {path}`.",
            reason="TOKEN_FILE_EXPOSED",
            metadata={"path": str(path)},
        )
    if len(content) > _FILE_SIZE_BYTES_MAX:
        raise _invalid(str(path), f"it has more than {_FILE_SIZE_BYTES_MAX} bytes")
    return parse_identities(content, where=str(path))


def parse_identities(content: bytes, *, where: str) -> Identities:
    """Read the content of a file of tokens.

    Raises:
        InvalidRequest: reason ``TOKEN_FILE_INVALID``.
    """
    try:
        document = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise _invalid(where, f"it is not TOML: {error}") from error
    tokens = document.get("tokens")
    if set(document) - {"tokens"} or not isinstance(tokens, dict) or not tokens:
        raise _invalid(where, "it has to consist of tables [tokens.NAME], at least one")
    return Identities([_check(name, table, where=where) for name, table in tokens.items()])


def _check(name: str, table: Any, *, where: str) -> tuple[bytes, Identity]:
    if not _NAME.fullmatch(name):
        raise _invalid(where, f"{name[:80]!r} is no name; use up to 64 letters, digits and _ . @ -")
    if not isinstance(table, dict) or set(table) != _KEYS:
        raise _invalid(where, f"[tokens.{name}] has to consist of sha256 and rights")
    digest, rights = table["sha256"], table["rights"]
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise _invalid(where, f"sha256 of [tokens.{name}] is not 64 hexadecimal digits in lower case")
    known = {right.value for right in Right}
    if (
        not isinstance(rights, list)
        or not rights
        or not all(isinstance(right, str) and right in known for right in rights)
    ):
        raise _invalid(where, f'rights of [tokens.{name}] is not a list of "read", "write" and "metrics"')
    return bytes.fromhex(digest), Identity(name, frozenset(Right(right) for right in rights))


def _invalid(where: str, why: str) -> InvalidRequest:
    return InvalidRequest(
        f"The tokens of {where} cannot be used: {why}. `dstore gateway token NAME` prints a table for the file.",
        reason="TOKEN_FILE_INVALID",
        metadata={"path": where},
    )
