"""Every step of the tutorial runs as it stands there, and prints what is shown."""

from pathlib import Path

import pytest
from page_runs import check_what_is_not_run, run_page


@pytest.mark.timeout(300)
def test_the_tutorial(tmp_path: Path) -> None:
    run_page("docs/tutorial.md", tmp_path)


def test_what_is_not_run_of_the_tutorial() -> None:
    check_what_is_not_run("docs/tutorial.md", count=1)
