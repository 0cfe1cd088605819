"""The gateway's page in a real browser, in front of a real cluster: what people do with it, and what goes wrong."""

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cluster import free_ports
from page_driver import FAINT, NAMELESS, Watched, chromium, gateway_process, watched_page
from playwright.sync_api import Browser, Page, expect, sync_playwright

from dstore.client.blocking import Client
from dstore.crypto.keyring import load_keyring
from dstore.gateway.identities import token_table
from dstore.testing import LocalCluster

MIB = 1024 * 1024
HOSTILE = (
    "<img src=x onerror=alert(1)>.txt",
    '"><script>alert(1)<script>',
    "'onmouseover='alert(1).md",
    "{{7*7}} &lt;b&gt; %3Cb%3E.txt",
    "Übersicht 数据 \u202e gnp.exe",
    "n" * 251 + ".csv",
)


def in_thread(work: Any) -> Any:
    """Run what may not run beside the event loop of the browser's driver."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(work).result()


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    running = LocalCluster()
    in_thread(running.start)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright, chromium(playwright) as running:
        yield running


@pytest.fixture(scope="module")
def url(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with gateway_process(cluster, tmp_path_factory.mktemp("gateway") / "errors") as address:
        yield address


@pytest.fixture
def watched(browser: Browser, url: str) -> Iterator[Watched]:
    with watched_page(browser, url) as page:
        yield page
        assert page.refusals == []


@pytest.fixture(scope="module")
def client(cluster: LocalCluster) -> Iterator[Client]:
    with cluster.connect() as connected:
        yield connected


def row(page: Page, name: str) -> Any:
    """Return the row of a file, found by the whole of its name."""
    cell = page.locator("th .name > span:first-of-type").filter(has_text=re.compile(f"^{re.escape(name)}$"))
    return page.locator("table.files tbody tr").filter(has=cell)


def click(page: Page, label: str, *, within: Any = None) -> None:
    (within or page).get_by_role("button", name=label, exact=True).click()


def confirm(page: Page, label: str, text: str | None = None) -> None:
    dialog = page.get_by_role("dialog")
    if text is not None:
        dialog.get_by_role("textbox").fill(text)
    click(page, label, within=dialog)
    expect(dialog).to_have_count(0)


def test_files_go_up_and_down_are_removed_and_come_back(watched: Watched, client: Client, tmp_path: Path) -> None:
    content = {"report 1.pdf": os.urandom(3 * MIB), "empty.txt": b""}
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    client.make_directory("/first")
    page = watched.open("files/first/")
    expect(page.get_by_text("This folder is empty.")).to_be_visible()
    with page.expect_file_chooser() as choosing:
        click(page, "Upload")
    choosing.value.set_files([tmp_path / name for name in content])
    for name, data in content.items():
        expect(row(page, name)).to_be_visible()
        assert client.get(f"/first/{name}") == data
    expect(row(page, "report 1.pdf")).to_contain_text("3.0 MiB")
    expect(page.locator("#transfers li[data-state=done]")).to_have_count(2)
    with page.expect_download() as downloading:
        click(page, "Download report 1.pdf", within=row(page, "report 1.pdf").locator(".acts"))
    assert downloading.value.suggested_filename == "report 1.pdf"
    assert Path(downloading.value.path()).read_bytes() == content["report 1.pdf"]
    click(page, "Remove report 1.pdf")
    confirm(page, "Remove")
    expect(row(page, "report 1.pdf")).to_have_count(0)
    assert [info.name for info in client.list("/first")] == ["empty.txt"]
    page.get_by_role("link", name="Removed", exact=True).click()
    click(page, "Restore report 1.pdf")
    expect(page.get_by_text("Nothing was removed from this folder lately.")).to_be_visible()
    assert client.get("/first/report 1.pdf") == content["report 1.pdf"]
    page.get_by_role("link", name="Files", exact=True).click()
    expect(row(page, "report 1.pdf")).to_be_visible()


def test_a_name_that_is_taken_is_asked_about(watched: Watched, client: Client, tmp_path: Path) -> None:
    client.make_directory("/taken")
    client.put("/taken/a", b"old")
    (tmp_path / "a").write_bytes(b"new")
    page = watched.open("files/taken/")
    expect(row(page, "a")).to_be_visible()
    page.locator("#chooser").set_input_files(tmp_path / "a")
    confirm(page, "Skip")
    assert client.get("/taken/a") == b"old"
    page.locator("#chooser").set_input_files(tmp_path / "a")
    confirm(page, "Replace")
    expect(page.locator("#transfers li[data-state=done]")).to_have_count(1)
    assert client.get("/taken/a") == b"new"
    # Somebody else was faster, after this page had listed the folder.
    client.put("/taken/b", b"theirs")
    (tmp_path / "b").write_bytes(b"mine")
    page.locator("#chooser").set_input_files(tmp_path / "b")
    expect(page.locator("#transfers li[data-state=taken]")).to_contain_text("There is a file of this name already.")
    assert client.get("/taken/b") == b"theirs"
    assert len(watched.refusals) == 1 and "412" in watched.refusals.pop()
    # What was replaced comes back beside what replaced it.
    page.get_by_role("link", name="Removed", exact=True).click()
    click(page, "Restore a")
    expect(page.get_by_role("dialog")).to_contain_text("Its place is taken")
    confirm(page, "Restore", "a.old")
    assert client.get("/taken/a.old") == b"old"
    assert len(watched.refusals) == 1 and "409" in watched.refusals.pop()


def test_the_progress_of_an_upload_is_shown_and_it_can_be_cancelled(
    watched: Watched, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "large.bin").write_bytes(os.urandom(8 * MIB))
    client.make_directory("/large")
    page = watched.open("files/large/")
    expect(page.get_by_text("This folder is empty.")).to_be_visible()
    network = page.context.new_cdp_session(page)
    network.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": MIB},
    )
    page.locator("#chooser").set_input_files(tmp_path / "large.bin")
    seen = page.wait_for_function(
        "() => { const { value } = document.querySelector('progress') ?? {}; return value > 5 && value < 95 && value }"
    )
    assert 5 < seen.json_value() < 95
    upload = page.locator("#transfers li")
    expect(upload).to_contain_text("of 8.0 MiB")
    click(page, "Cancel: large.bin")
    expect(upload).to_contain_text("cancelled")
    assert list(client.list("/large")) == []
    network.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1},
    )
    click(page, "Try again: large.bin")
    expect(upload).to_have_attribute("data-state", "done")
    assert client.stat("/large/large.bin").size_bytes == 8 * MIB


def test_whatever_a_name_is_it_stays_text(watched: Watched, client: Client) -> None:
    client.make_directory("/names")
    for name in HOSTILE:
        client.put(f"/names/{name}", b"x")
    client.make_directory(f"/names/d{HOSTILE[0]}")
    page = watched.open("files/names/")
    for name in HOSTILE:
        expect(row(page, name)).to_be_visible()
    # The rename dialog, its refusal, the question before a removal, and notices.
    click(page, f"Rename {HOSTILE[1]}")
    assert page.get_by_role("dialog").get_by_role("textbox").input_value() == HOSTILE[1]
    page.get_by_role("dialog").get_by_role("textbox").fill(HOSTILE[0])
    click(page, "Rename", within=page.get_by_role("dialog"))
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text(HOSTILE[0])
    assert "409" in watched.refusals.pop()
    confirm(page, "Cancel")
    click(page, f"Remove {HOSTILE[0]}")
    expect(page.get_by_role("dialog")).to_contain_text(HOSTILE[0])
    confirm(page, "Remove")
    expect(page.locator(".toast").first).to_contain_text(f"Removed {HOSTILE[0]}")
    page.get_by_role("link", name="Removed", exact=True).click()
    expect(row(page, HOSTILE[0])).to_be_visible()
    page.get_by_role("link", name="Files", exact=True).click()
    row(page, f"d{HOSTILE[0]}").get_by_role("link").click()
    expect(page.get_by_role("navigation", name="Folder")).to_contain_text(f"d{HOSTILE[0]}")
    assert page.evaluate("document.querySelectorAll('main img, main script, main b, [onmouseover]').length") == 0
    # Not even a mistake in the page could make HTML of a name.
    refused = page.evaluate("() => { try { document.body.innerHTML = '<b>'; } catch (error) { return error.name; } }")
    assert refused == "TypeError"
    watched.offences[:] = [each for each in watched.offences if "TrustedHTML" not in each]


def test_folders_by_keyboard_and_a_listing_in_pages(watched: Watched, client: Client) -> None:
    client.make_directory("/many")
    client.put_many((f"/many/{number:03}", b"x") for number in range(250))
    page = watched.open("files/many/")
    expect(page.locator("table.files tbody tr")).to_have_count(200)
    click(page, "Show more")
    expect(page.locator("table.files tbody tr")).to_have_count(250)
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()
    page.get_by_role("button", name="New folder").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("sub/folder")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="has no '/' in it")).to_be_visible()
    page.keyboard.press("Control+a")
    page.keyboard.type("0 folder")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("link", name="0 folder").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("This folder is empty.")).to_be_visible()
    page.get_by_role("link", name="many").click()
    click(page, "Rename 0 folder")
    confirm(page, "Rename", "/moved")
    expect(row(page, "0 folder")).to_have_count(0)
    assert client.stat("/moved").is_directory


def test_nothing_there(watched: Watched) -> None:
    page = watched.open("files/no/such/folder/")
    expect(page.locator("main .problem")).to_contain_text("There is no /no: check the name")
    assert "404" in watched.refusals.pop()


def test_a_cluster_that_does_not_answer(watched: Watched) -> None:
    page = watched.open()
    expect(page.locator("#health")).to_contain_text("Healthy")
    message = "The master is <b>away</b>; see whether it runs."
    error = {"error": {"reason": "MASTER_UNREACHABLE", "message": message, "request_id": "1"}}
    page.route("**/v1/cluster", lambda route: route.fulfill(status=503, json=error))
    expect(page.locator("#banner")).to_have_text(message)
    expect(page.locator("#health")).to_contain_text("Unknown")
    expect(page.locator("#health")).not_to_contain_text("HEALTH_OK")
    page.unroute("**/v1/cluster")
    expect(page.locator("#banner")).to_be_hidden()
    expect(page.locator("#health")).to_contain_text("Healthy")
    assert all("503" in watched.refusals.pop() for _ in watched.refusals[:])


def test_state_charts_and_fingerprints(watched: Watched, cluster: LocalCluster, client: Client) -> None:
    page = watched.open()
    expect(page.locator("#health")).to_contain_text("Healthy")
    expect(page.locator("#nodes tbody tr")).to_have_count(3)
    assert [page.get_by_role("meter", name=f"Disk of cs-{n}").count() for n in (1, 2, 3)] == [1, 1, 1]
    keyring = load_keyring(cluster.key_file)
    expect(page.locator("#keys li")).to_contain_text(keyring.active.key_id.hex())
    assert keyring.active.reveal().hex() not in page.content()
    line = page.locator(".chart").first.locator(".line.one")
    before = line.get_attribute("d")
    client.put("/moves", os.urandom(2 * MIB))
    page.evaluate("async () => { await (await fetch('/v1/files/moves')).arrayBuffer(); }")
    page.wait_for_function(
        "before => document.querySelector('.chart .line.one').getAttribute('d') !== before", arg=before
    )
    assert page.evaluate(NAMELESS) == []


def test_a_node_that_is_away(watched: Watched, cluster: LocalCluster) -> None:
    page = watched.open()
    health, node = page.locator("#health"), page.locator("#nodes tr").filter(has_text="cs-2")
    expect(node.locator(".pill")).to_have_text("up")
    in_thread(lambda: cluster.stop_chunkserver(2))
    try:
        expect(node.locator(".pill")).not_to_have_text("up", timeout=60_000)
        expect(health).not_to_have_class(re.compile("good"))
        expect(health.locator(".checks li").first).to_contain_text("cs-2")
        expect(health.locator(".help code").first).to_contain_text("dstore")
        expect(page.locator("#health-pill")).not_to_have_text("Healthy")
    finally:
        in_thread(lambda: cluster.start_chunkserver(2))
    expect(node.locator(".pill")).to_have_text("up", timeout=60_000)
    expect(health).to_have_class(re.compile("good"), timeout=60_000)


def shown(page: Page, view: str) -> None:
    """Wait until a view shows what it is to show."""
    expect(page.locator("#nodes tbody tr" if view == "" else "table.files tbody tr").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_windows_and_contrast(browser: Browser, url: str, client: Client, scheme: str) -> None:
    client.put("/" + "w" * 250, b"x")
    client.put("/" + "w" * 250, b"y")
    session = {"viewport": {"width": 360, "height": 740}, "color_scheme": scheme, "reduced_motion": "reduce"}
    with watched_page(browser, url, **session) as watched:
        for view in ("", "files/", "removed/"):
            page = watched.open(view)
            shown(page, view)
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, view
            assert page.evaluate(FAINT) == [], view
            assert page.evaluate(NAMELESS) == [], view
            back = page.evaluate("getComputedStyle(document.body).backgroundColor")
            parts = [int(part) for part in re.findall(r"\d+", back)]
            assert max(parts) < 64 if scheme == "dark" else min(parts) > 192
        assert watched.refusals == []


def test_tokens_and_a_gateway_that_goes_away(
    browser: Browser, cluster: LocalCluster, client: Client, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens.toml"
    tokens.write_text(token_table("viewer", "seen", ["read"]) + token_table("watcher", "watched", ["metrics"]))
    tokens.chmod(0o600)
    client.put("/private.bin", content := os.urandom(2 * MIB))
    # Below the ports that connections take, for it has to be free again later.
    start = partial(gateway_process, cluster, tmp_path / "errors", "--tokens", str(tokens))
    port = free_ports(1, ports=range(13_000, 14_000))
    with ExitStack() as stack:
        with start(port=port) as url:
            page = stack.enter_context(watched_page(browser, url)).open("files/")
            use_as_viewer(page, content)
        expect(page.locator("#banner")).to_contain_text("The gateway does not answer")
        client.put("/meanwhile", b"x")
        with start(port=port):
            expect(page.locator("#banner")).to_be_hidden()
            expect(row(page, "meanwhile")).to_be_visible()
            click(page, "Sign out")
            expect(page.get_by_label("Token")).to_be_visible()
            assert page.evaluate("sessionStorage.length") == 0


def use_as_viewer(page: Page, content: bytes) -> None:
    """Sign in to a gateway with a token that can read, and try to do more than that."""
    for token, refusal in (("wrong", "not known"), ("watched", "no right to read"), ("schön", "no token")):
        page.get_by_label("Token").fill(token)
        click(page, "Sign in")
        expect(page.locator("main").get_by_role("alert")).to_contain_text(refusal)
    page.get_by_label("Token").fill("seen")
    click(page, "Sign in")
    expect(page.get_by_text("viewer, read only")).to_be_visible()
    with page.expect_download() as downloading:
        row(page, "private.bin").locator("th button").click()
    assert Path(downloading.value.path()).read_bytes() == content
    for label in ("Upload", "New folder", "Remove private.bin", "Rename private.bin"):
        click(page, label)
        expect(page.locator(".toast").last).to_contain_text("viewer has no right to write")
        click(page, "Dismiss", within=page.locator(".toast").last)
    # The gateway refuses it too, whatever a page does.
    headers = "{Authorization: 'Bearer seen'}"
    request = f"fetch('/v1/files/private.bin', {{method: 'DELETE', headers: {headers}}})"
    status = page.evaluate(f"async () => (await {request}).status")
    assert status == 403
    kept = page.evaluate("[JSON.stringify(localStorage), document.cookie, location.href]")
    assert not any("seen" in each for each in kept)
