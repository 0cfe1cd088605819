"""``dstore top``: the cluster as it moves, on the whole terminal, or as single snapshots elsewhere."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import termios
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING

from dstore.cli.exit_codes import ExitCode
from dstore.cli.master_calls import STATUS_PATIENCE_S
from dstore.cli.output import Output, wants_colour
from dstore.cli.quantities import format_duration, format_time
from dstore.cli.target import Target
from dstore.cli.top_view import Line, Screen, screen_lines
from dstore.client.profile import resolve_profile
from dstore.client.retries import Retries
from dstore.client.retrying import RetryingAdmin
from dstore.core.errors import DstoreError, InvalidRequest
from dstore.core.status import ClusterStatus
from dstore.rpc.channel import Connection
from dstore.system.environment import SystemClock, SystemRandom

if TYPE_CHECKING:
    from rich.live import Live

INTERVAL_MIN_S = 0.2
_PLAIN_WIDTH = 160
#: q, and what leaves other programs: Escape alone, the end of the input, Ctrl-C of a terminal that sends no signal.
_LEAVING_KEYS = (b"q", b"Q", b"\x1b", b"\x04", b"\x03")


def top(target: Target, *, interval_s: float, snapshot_count: int | None) -> int:
    """Show the cluster until somebody leaves, or ``snapshot_count`` times; once, where no terminal is."""
    if interval_s < INTERVAL_MIN_S:
        raise InvalidRequest(
            f"--interval is {format_duration(interval_s)}; the master looks once a second, so take 1s or more.",
            reason="INTERVAL_INVALID",
        )
    is_live = not target.as_json and sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    endpoint = resolve_profile(os.environ, endpoint=target.endpoint, profile=target.profile).endpoint
    with contextlib.suppress(KeyboardInterrupt):
        if is_live and snapshot_count is None and _has_rich():
            asyncio.run(_live(endpoint, interval_s))
        else:
            asyncio.run(_snapshots(endpoint, Output(as_json=target.as_json), interval_s, snapshot_count or 1))
    return ExitCode.OK


async def _snapshots(endpoint: str, output: Output, interval_s: float, count: int) -> None:
    async with _asking(endpoint) as ask:
        for number in range(count):
            if number:
                await asyncio.sleep(interval_s)
            status = await ask()
            width = shutil.get_terminal_size((_PLAIN_WIDTH, 0)).columns if sys.stdout.isatty() else _PLAIN_WIDTH
            screen = Screen(_title(endpoint, status, None), "", width, is_unicode=_is_unicode())
            lines = screen_lines(status, screen)
            output.result(status, "\n".join(_styled(line, output) for line in lines))


async def _live(endpoint: str, interval_s: float) -> None:
    async with _asking(endpoint) as ask:
        status, failure = await ask(), ""
        leaving, resized = asyncio.Event(), asyncio.Event()
        with _keys(leaving), _signals(leaving, resized), _screen() as live:
            while not leaving.is_set():
                # COLUMNS and LINES, where they are set, do not know that the window changed.
                size = os.get_terminal_size(sys.stdout.fileno())
                title = _title(endpoint, status, interval_s)
                screen = Screen(title, failure, size.columns, size.lines, is_unicode=_is_unicode())
                _show(live, screen, screen_lines(status, screen))
                if await _wait(leaving, resized, interval_s):
                    continue
                try:
                    status, failure = await ask(), ""
                except DstoreError as error:
                    failure = f"{error.message} What follows is what was known before."


async def _wait(leaving: asyncio.Event, resized: asyncio.Event, interval_s: float) -> bool:
    """Wait for the next look; return True when the terminal changed, or somebody leaves, before."""
    waiting = [asyncio.create_task(event.wait()) for event in (leaving, resized)]
    done, _ = await asyncio.wait(waiting, timeout=interval_s, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    resized.clear()
    return bool(done)


@contextlib.asynccontextmanager
async def _asking(endpoint: str) -> AsyncIterator[Callable[[], "asyncio.Future[ClusterStatus]"]]:
    """Give what asks the master for its status, over one connection."""
    connection = Connection(endpoint)
    retries = Retries(endpoint=endpoint, clock=SystemClock(), random=SystemRandom(), patience_s=STATUS_PATIENCE_S)
    admin = RetryingAdmin(connection.admin, retries)
    try:
        yield lambda: asyncio.ensure_future(admin.get_status())
    finally:
        await connection.close()


@contextlib.contextmanager
def _keys(leaving: asyncio.Event) -> Iterator[None]:
    """Read keys one by one, without showing them; put the terminal back at the end, whatever that is."""
    descriptor = sys.stdin.fileno()
    loop = asyncio.get_running_loop()
    before = termios.tcgetattr(descriptor)

    def read() -> None:
        pressed = os.read(descriptor, 64)
        # Nothing at all is a terminal that went away.
        if not pressed or pressed[-1:] in _LEAVING_KEYS:
            leaving.set()

    try:
        tty.setcbreak(descriptor)
        changed = termios.tcgetattr(descriptor)
        # A process that is stopped would leave the terminal as it is now.
        changed[6][termios.VSUSP] = b"\0"
        termios.tcsetattr(descriptor, termios.TCSADRAIN, changed)
        loop.add_reader(descriptor, read)
        yield
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _signals(leaving: asyncio.Event, resized: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    actions = {
        signal.SIGINT: leaving.set,
        signal.SIGTERM: leaving.set,
        signal.SIGHUP: leaving.set,
        signal.SIGWINCH: resized.set,
    }
    for number, action in actions.items():
        loop.add_signal_handler(number, action)
    try:
        yield
    finally:
        for number in actions:
            loop.remove_signal_handler(number)


def _screen() -> "Live":
    from rich.console import Console
    from rich.live import Live

    has_colour = wants_colour(os.environ, is_terminal=True)
    return Live(
        console=Console(no_color=not has_colour, highlight=False),
        screen=True,
        auto_refresh=False,
        redirect_stdout=False,
    )


def _show(live: "Live", screen: Screen, lines: list[Line]) -> None:
    from rich.console import ConsoleDimensions
    from rich.text import Text

    live.console.size = ConsoleDimensions(screen.width, screen.height)

    # Text, not markup: names come from others.
    text = Text(no_wrap=True, overflow="crop")
    for line in lines:
        text.append(f"{line.text}\n", line.style or None)
    text.rstrip()
    live.update(text, refresh=True)


def _styled(line: Line, output: Output) -> str:
    return output.style(line.text, line.style) if line.style else line.text


def _title(endpoint: str, status: ClusterStatus, interval_s: float | None) -> str:
    time = format_time(status.time_ns) if status.time_ns else ""
    leaving = "" if interval_s is None else f"  every {format_duration(interval_s)}, q leaves"
    return f"dstore top  {endpoint}  {time}{leaving}"


def _is_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _has_rich() -> bool:
    try:
        import rich  # noqa: F401 - whether it is there
    except ModuleNotFoundError:
        return False
    return True
