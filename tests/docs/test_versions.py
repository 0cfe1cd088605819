"""The versions of libraries that docs/fsspec.md names are those with which the tests ran."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def locked_versions() -> dict[str, set[str]]:
    """Each package of the lock file, with its versions: several where they depend on the version of Python."""
    found = dict[str, set[str]]()
    for name, version, condition in re.findall(
        r"^([\w.-]+)==([\w.]+)([^\\\n]*)", (ROOT / "requirements/development.lock").read_text(), flags=re.MULTILINE
    ):
        if "python_full_version >= '3.12'" not in condition:
            found.setdefault(name, set()).add(version)
    return found


def test_versions_in_the_table_of_libraries() -> None:
    section = (ROOT / "docs/fsspec.md").read_text().partition("## Libraries")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| ([\w-]+) \| (\d[\w.]*) \|", section, flags=re.MULTILINE))
    assert len(rows) == section.count("\n| ") - len(["library", "loaders as PyTorch's"])
    locked = locked_versions()
    wrong = {
        name: (version, locked[name.lower()]) for name, version in rows.items() if version not in locked[name.lower()]
    }
    assert wrong == {}
