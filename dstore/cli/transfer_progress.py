"""A progress bar on stderr: bytes, rate and time left, when a person is there to see it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dstore.cli.quantities import printable

#: Takes the bytes done so far.
Report = Callable[[int], None]


@contextmanager
def transfer_progress(name: str, size_bytes: int | None, *, wanted: bool) -> Iterator[Report]:
    """Show a bar while the block runs, and give it the function that moves it.

    Nothing is shown unless ``wanted`` and stderr is a terminal; the bar disappears at the end, whatever that is.
    ``size_bytes`` is None for streams.
    """
    if not wanted or not sys.stderr.isatty():
        yield _ignore
        return
    try:
        from rich import progress
        from rich.console import Console
        from rich.markup import escape
    except ModuleNotFoundError:
        yield _ignore
        return
    bar = progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(binary_units=True),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task(escape(printable(name)), total=size_bytes)
        yield lambda done_bytes: bar.update(task, completed=done_bytes)


def _ignore(done_bytes: int) -> None:
    """Show nothing."""
