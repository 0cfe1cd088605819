"""Versions, figures and settings on the pages are those of the lock file, of the measurements and of the code."""

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


def figures(page: str, heading: str) -> list[str]:
    """Numbers of three digits and more in the tables of a section; smaller ones name sizes."""
    section = (ROOT / page).read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    cells = [cell for line in section.splitlines() if line.startswith("|") for cell in line.split("|")[2:]]
    return re.findall(r"\d{1,3}(?:,\d{3})+|\b\d{3}\b", " ".join(cells))


def test_every_figure_was_measured() -> None:
    measured = set(figures("docs/performance.md", "Figures"))
    assert len(measured) > 50
    named = figures("docs/comparison.md", "Speed")
    assert len(named) > 20
    assert [figure for figure in named if figure not in measured] == []


def test_every_variable_is_in_the_table_of_settings() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "dstore").rglob("*.py"))
    read = set(re.findall(r"\bDSTORE_[A-Z_]+\b", sources))
    rows = [
        line for line in (ROOT / "docs/cli.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `DSTORE")
    ]
    told = {name for row in rows for name in re.findall(r"DSTORE_[A-Z_]+", row.split("|")[1])}
    assert len(read) > 8
    assert told == read
