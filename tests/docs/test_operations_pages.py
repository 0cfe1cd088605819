"""What an operator is told to type works: every command of docs/operations, and what it prints."""

from pathlib import Path

import pytest
from page_runs import check_what_is_not_run, run_pages

#: Each page, the one that takes longest first, and how many of its blocks are not run; each of those says why.
PAGES = {
    "docs/operations/disaster-recovery.md": 0,
    "docs/operations/day-2.md": 0,
    "docs/operations/upgrade.md": 0,
    "docs/operations/day-1.md": 1,
}


@pytest.mark.timeout(300)
def test_operations_pages(tmp_path: Path) -> None:
    run_pages(PAGES, tmp_path)


@pytest.mark.parametrize("page", PAGES)
def test_what_is_not_run_of_an_operations_page(page: str) -> None:
    check_what_is_not_run(page, count=PAGES[page])
