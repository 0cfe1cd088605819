"""Figures in the comparison are those of docs/performance.md, which `make bench` gave."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


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
