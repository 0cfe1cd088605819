"""A listing fetches one page ahead, and leaves nothing behind when its caller stops."""

import asyncio
from typing import cast

import pytest

from dstore.client.answers import list_pages
from dstore.core.errors import Internal, Unavailable
from dstore.core.files import FileInfo, FileKind, FilePage
from dstore.core.ids import FileId, Version
from dstore.core.interfaces import Namespace


def entry(path: str) -> FileInfo:
    return FileInfo(path, FileKind.FILE, FileId(2), 0, Version(2), 0, 0)


class Pages:
    """Answers page after page; of those in ``held``, once it is told to."""

    def __init__(self, *pages: list[str], held: tuple[int, ...] = ()) -> None:
        self.pages = pages
        self.asked: list[int] = []
        self.go_on = asyncio.Event()
        self._held = held

    async def list(self, path: str, *, page_size: int, page_token: str) -> FilePage:
        number = int(page_token or "0")
        self.asked.append(number)
        if number in self._held:
            await self.go_on.wait()
        if number == len(self.pages):
            raise Unavailable("It is gone.", reason="MASTER_UNREACHABLE")
        return FilePage(tuple(map(entry, self.pages[number])), str(number + 1))


async def collect(pages: Pages) -> list[str]:
    return [info.path async for page in list_pages(cast("Namespace", pages), "/d", 10) for info in page]


def others() -> set[asyncio.Task[object]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


async def test_the_next_page_is_asked_for_before_the_caller_wants_it() -> None:
    pages = Pages(["/d/a"], ["/d/b"], ["/d/c"])
    listing = list_pages(cast("Namespace", pages), "/d", 10)
    await anext(listing)
    await asyncio.sleep(0)
    assert pages.asked == [0, 1]
    await anext(listing)
    await asyncio.sleep(0)
    assert pages.asked == [0, 1, 2]
    await listing.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize("held", [(1,), ()])
async def test_a_caller_that_stops_leaves_no_call_behind(held: tuple[int, ...]) -> None:
    pages = Pages(["/d/a"], held=held)
    listing = list_pages(cast("Namespace", pages), "/d", 10)
    await anext(listing)
    await asyncio.sleep(0)
    await listing.aclose()  # type: ignore[attr-defined]
    assert not others()


async def test_a_failure_of_a_page_ahead_comes_after_the_pages_before_it() -> None:
    listing = list_pages(cast("Namespace", Pages(["/d/a"])), "/d", 10)
    assert [info.path for info in await anext(listing)] == ["/d/a"]
    with pytest.raises(Unavailable):
        await anext(listing)


@pytest.mark.parametrize(
    "names",
    [
        ["/d/b", "/d/a"],
        ["/d/a", "/d/a"],
        ["/d/a/b"],
        ["/d/"],
        ["/d/."],
        ["/d/.."],
        ["/e/a"],
        ["/d/" + "ü" * 128],
        ["d"],
    ],
)
async def test_what_is_no_entry_or_not_in_order_is_refused(names: list[str]) -> None:
    with pytest.raises(Internal):
        await collect(Pages(names, held=(1,)))
    assert not others()


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127, "a b", "...", "名前", "-", "\n", "a\n", "\x7f", ".a", "a."])
async def test_unusual_names_are_fine(name: str) -> None:
    listing = list_pages(cast("Namespace", Pages([f"/d/{name}"], held=(1,))), "/d", 10)
    assert [info.path for info in await anext(listing)] == [f"/d/{name}"]
    await listing.aclose()  # type: ignore[attr-defined]
