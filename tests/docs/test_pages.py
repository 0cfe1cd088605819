"""Every command and program on these pages runs as it stands there, and prints what the page shows."""

import shlex
import sys
from pathlib import Path

import pytest
from page_blocks import Step, blocks, steps
from page_shell import PageShell
from shown_output import fits

ROOT = Path(__file__).parent.parent.parent

#: Each page, and how many of its blocks are not run; each of those says why on the page.
PAGES = {
    "README.md": 1,
    "docs/tutorial.md": 1,
}


def check(shell: PageShell, page: str, step: Step, directory: Path) -> None:
    command = step.command
    if step.is_python:
        program = directory / f"line_{step.line}.py"
        program.write_text(command)
        command = f"python -W error {shlex.quote(str(program))}"
    shown = step.shown
    code, printed = shell.run(command, None if shown is None else lambda lines: fits(shown, lines))
    report = "\n".join([f"{page}:{step.line} ended with {code}: {step.command}", *printed])
    assert code == 0, report
    if shown is not None:
        assert fits(shown, printed), "\n".join([report, "-- and not as shown:", *shown])


@pytest.mark.parametrize("page", PAGES)
def test_a_page(page: str, tmp_path: Path) -> None:
    checkout = tmp_path / "dstore"
    checkout.mkdir()
    for path in ROOT.iterdir():
        if not path.name.startswith("."):
            (checkout / path.name).symlink_to(path)
    (checkout / ".venv").symlink_to(sys.prefix)
    with PageShell(tmp_path, working_directory=checkout) as shell:
        for step in steps(ROOT / page):
            check(shell, page, step, tmp_path)


def test_what_is_not_run_is_counted_and_says_why() -> None:
    reasons = {page: [block.reason_not_run for block in blocks(ROOT / page) if block.reason_not_run] for page in PAGES}
    assert {page: len(each) for page, each in reasons.items()} == PAGES
    assert all(len(reason) > 10 for each in reasons.values() for reason in each), reasons


@pytest.mark.parametrize("page", PAGES)
def test_no_command_hides_outside_of_the_blocks_that_are_run(page: str) -> None:
    outside = "\n".join(block.before for block in blocks(ROOT / page)).splitlines()
    indented = [
        line for before, line in zip(["", *outside], outside, strict=False) if not before and line[:4] == "    "
    ]
    assert [line for line in indented if not line.lstrip().startswith(("-", "*", "<!--"))] == []
    assert len(list(steps(ROOT / page))) > 3
