"""Runs a page from top to bottom, and says what it leaves out."""

import shlex
import sys
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from page_blocks import Step, blocks, steps
from page_shell import PageShell
from shown_output import fits

ROOT = Path(__file__).parent.parent.parent


def run_pages(pages: Collection[str], directory: Path) -> None:
    """Run pages, two of them at a time: most of what they do is to wait."""
    with ThreadPoolExecutor(max_workers=2) as threads:
        running = [threads.submit(run_page, page, directory / Path(page).stem) for page in pages]
        problems = [str(error) for each in running if (error := each.exception()) is not None]
    assert not problems, "\n\n".join(problems)


def run_page(page: str, directory: Path) -> None:
    """Run every command and program as the page has it; what each prints must be what is shown.

    It begins in a directory with what a checkout has, without a cluster and without settings.
    """
    checkout = directory / "dstore"
    (checkout / ".venv").mkdir(parents=True)
    for path in ROOT.iterdir():
        if not path.name.startswith("."):
            (checkout / path.name).symlink_to(path)
    for path in Path(sys.prefix).iterdir():
        if path.name != ".ready":
            (checkout / ".venv" / path.name).symlink_to(path)
    # For make it is set up, however old the environment is in which the tests run.
    (checkout / ".venv/.ready").touch()
    with PageShell(directory, working_directory=checkout) as shell:
        for step in steps(ROOT / page):
            _run(shell, page, step, directory)


def _run(shell: PageShell, page: str, step: Step, directory: Path) -> None:
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


def check_what_is_not_run(page: str, *, count: int) -> None:
    """So many blocks of a page are left out, each for a reason that stands there; no command is outside of blocks."""
    reasons = [block.reason_not_run for block in blocks(ROOT / page) if block.reason_not_run]
    assert len(reasons) == count, reasons
    assert all(len(reason) > 10 for reason in reasons), reasons
    outside = "\n".join(block.before for block in blocks(ROOT / page)).splitlines()
    indented = [
        line for before, line in zip(["", *outside], outside, strict=False) if not before and line[:4] == "    "
    ]
    assert [line for line in indented if not line.lstrip().startswith(("-", "*", "<!--"))] == []
