"""Large local files with unrepeated content, and clients of a test cluster in this process."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cluster import LocalTestCluster

import dstore

_BLOCK_SIZE_BYTES = 4 * 1024 * 1024


def write_large_file(path: Path, size_bytes: int, *, seed: int = 1) -> str:
    """Write pseudo-random bytes that repeat nowhere; return their SHA-256."""
    source = random.Random(seed)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for _ in range(size_bytes // _BLOCK_SIZE_BYTES):
            block = source.randbytes(_BLOCK_SIZE_BYTES)
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a local file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def client_of(cluster: LocalTestCluster, endpoint: str | None = None) -> Iterator[dstore.Client]:
    """Connect as a user with the profile that ``dstore up`` made would."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cluster.environ.items():
            if name.startswith(("DSTORE_", "XDG_")):
                patch.setenv(name, value)
        with dstore.connect(endpoint) as client:
            yield client
