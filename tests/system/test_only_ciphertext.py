"""Invariant 11: what was put through the store is nowhere on a server, in no form."""

import base64
import hashlib
import json
import tomllib
from pathlib import Path

from cluster import LocalTestCluster
from large_files import client_of

CANARY = b"dstore-canary:" + hashlib.sha256(b"canary").hexdigest().encode()


def forms_of(secret: bytes) -> dict[str, bytes]:
    """Return the secret raw, in hex, and in base64 at each of its three alignments."""
    forms = {"raw": secret, "hex": secret.hex().encode(), "HEX": secret.hex().upper().encode()}
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + secret)
        # The first and last letters depend on the neighbours.
        forms[f"base64+{shift}"] = encoded[4:-4]
        forms[f"base64url+{shift}"] = encoded.translate(bytes.maketrans(b"+/", b"-_"))[4:-4]
    return forms


def places_of(root: Path, secret: bytes) -> list[str]:
    """Return where below ``root`` any form of the secret stands."""
    forms = forms_of(secret)
    found = []
    for path in root.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            found += [f"{form} in {path}" for form, needle in forms.items() if needle in content]
    return found


def key_material(key_file: Path) -> bytes:
    text = key_file.read_text()
    candidates = [base64.b64decode(key["secret"]) for key in tomllib.loads(text)["keys"]]
    assert candidates, f"no raw key found in the key file; the test must follow the format: {text!r}"
    return candidates[0]


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"x" + base64.b64encode(b"ab" + CANARY + b"cd"))
    (tmp_path / "dump").write_bytes(b"..." + CANARY)
    assert len(places_of(tmp_path, CANARY)) >= 2


def test_no_plaintext_and_no_key_on_any_server(own_cluster: LocalTestCluster, tmp_path: Path) -> None:
    for path, size_bytes in (("/small", 0), ("/large", 3 * 1024 * 1024)):
        content = CANARY + bytes(size_bytes) + CANARY
        own_cluster.check("put", "-", path, stdin=content)
        assert own_cluster.check("cat", path) == content
    with client_of(own_cluster) as client:
        client.put_many({f"/many-{number}": CANARY * number for number in (1, 3, 100)})
        assert client.get_many(["/many-1", "/many-3"]) == [CANARY, CANARY * 3]
    own_cluster.kill("cs-1")
    assert CANARY in own_cluster.check("cat", "/large")
    own_cluster.start_node("cs-1")
    own_cluster.run("cat", "/missing")
    own_cluster.check("mv", "/small", "/renamed")
    status = json.loads(own_cluster.check("status", "--json"))
    assert CANARY.decode() not in json.dumps(status)
    own_cluster.check("down", "--dir", str(own_cluster.root))

    assert any(own_cluster.root.rglob("*.log")), "the logs must be below the directory that is searched"
    assert places_of(own_cluster.root, CANARY) == []
    assert places_of(own_cluster.root, key_material(own_cluster.key_file)) == []
