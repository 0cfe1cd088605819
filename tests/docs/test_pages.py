"""Every command and program of the README and of the tutorial runs as it stands there, and prints what is shown."""

from pathlib import Path

import pytest
from page_runs import check_what_is_not_run, run_pages

#: Each page, and how many of its blocks are not run; each of those says why on the page.
PAGES = {
    "docs/tutorial.md": 1,
    "README.md": 1,
}


@pytest.mark.timeout(300)
def test_readme_and_tutorial(tmp_path: Path) -> None:
    run_pages(PAGES, tmp_path)


@pytest.mark.parametrize("page", PAGES)
def test_what_is_not_run(page: str) -> None:
    check_what_is_not_run(page, count=PAGES[page])
