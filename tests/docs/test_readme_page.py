"""Every command and program of the README runs as it stands there, and prints what is shown."""

from pathlib import Path

import pytest
from page_runs import check_what_is_not_run, run_page


@pytest.mark.timeout(300)
def test_the_readme(tmp_path: Path) -> None:
    run_page("README.md", tmp_path)


def test_what_is_not_run_of_the_readme() -> None:
    check_what_is_not_run("README.md", count=1)
