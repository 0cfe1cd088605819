"""A progress bar on stderr: bytes, rate and time left, when a person is there to see it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dstore.core.sizes import format_size
from dstore.core.text import printable

if TYPE_CHECKING:
    from rich.progress import Progress

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
        bar = _make_bar()
    except ModuleNotFoundError:
        # Rich is only needed for this.
        yield _ignore
        return
    with bar:
        task = bar.add_task(printable(name), total=size_bytes)
        yield lambda done_bytes: bar.update(task, completed=done_bytes)


def _make_bar() -> "Progress":
    from rich import progress
    from rich.console import Console
    from rich.text import Text

    class RateColumn(progress.ProgressColumn):
        """Bytes per second in the units of all other sizes."""

        def render(self, task: progress.Task) -> Text:
            return Text(f"{format_size(int(task.speed))}/s" if task.speed else "", style="progress.data.speed")

    return progress.Progress(
        # Names are text, not markup.
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.DownloadColumn(binary_units=True),
        RateColumn(),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _ignore(done_bytes: int) -> None:
    """Show nothing."""
