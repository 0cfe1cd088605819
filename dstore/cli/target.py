"""Which cluster a command is about, and how it is to answer."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Target:
    """The cluster that the user named; None where the environment or the profile decides."""

    endpoint: str | None
    profile: str | None
    key_file: Path | None
    as_json: bool
