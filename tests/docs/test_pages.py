"""Every command and program of the README and of the tutorial runs as it stands there, and prints what is shown."""

from pathlib import Path

import pytest
from page_runs import hidden_commands, reasons_not_run, run_page

#: Each page, and how many of its blocks are not run; each of those says why on the page.
PAGES = {
    "README.md": 1,
    "docs/tutorial.md": 1,
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page(page: str, tmp_path: Path) -> None:
    run_page(page, tmp_path)


@pytest.mark.parametrize("page", PAGES)
def test_what_is_not_run_is_counted_and_says_why(page: str) -> None:
    reasons = reasons_not_run(page)
    assert (len(reasons), min(map(len, reasons)) > 10) == (PAGES[page], True), reasons
    assert hidden_commands(page) == []
