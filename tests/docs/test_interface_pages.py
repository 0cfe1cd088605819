"""Every command and program in the pages of the interfaces runs as it stands there, and prints what is shown."""

from pathlib import Path

import pytest
from page_runs import check_what_is_not_run, run_pages

#: Each page, and how many of its blocks are not run; each of those says why on the page.
PAGES = {
    "docs/dashboard.md": 0,
    "docs/fsspec.md": 4,
    "docs/gateway.md": 1,
    "docs/how-to/gateway-for-others.md": 0,
    "docs/how-to/restore-removed-files.md": 0,
}


@pytest.mark.timeout(300)
def test_interface_pages(tmp_path: Path) -> None:
    run_pages(PAGES, tmp_path)


@pytest.mark.parametrize("page", PAGES)
def test_what_is_not_run_of_an_interface_page(page: str) -> None:
    check_what_is_not_run(page, count=PAGES[page])
