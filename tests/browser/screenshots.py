"""Takes the pictures of the gateway's page for docs/dashboard.md: `.venv/bin/python tests/browser/screenshots.py`."""

import math
import os
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from page_driver import chromium, gateway_process
from playwright.sync_api import Browser, Page, expect, sync_playwright

from dstore.client.blocking import Client
from dstore.testing import LocalCluster

DOCS = Path(__file__).parents[2] / "docs"
MIB = 1024 * 1024
PICTURE_SIZE_BYTES_MAX = 200 * 1024
TREE = {
    "README.md": 4_100,
    "checkpoints/step-010000.safetensors": 9 * MIB,
    "checkpoints/step-020000.safetensors": 9 * MIB,
    "datasets/cities.parquet": 5 * MIB,
    "reports/2026-10.pdf": 1_900_000,
    "reports/2026-11.pdf": 2_100_000,
    "embeddings.npy": 12 * MIB,
    "notes from the review.txt": 2_300,
    "photo of the team.jpg": 3_400_000,
    "<b>not bold</b>.csv".replace("/", "∕"): 71_000,
}


class Traffic:
    """Reads and writes through the gateway, now more and now less, for as long as the block lasts."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        step = 0
        while not self._stopping.wait(0.25):
            step += 1
            swell = 1.2 + math.sin(step / 9) + 0.4 * math.sin(step / 2.3)
            self._client.put("/datasets/stream.bin", os.urandom(int(max(swell, 0.1) * MIB)))


def shoot(page: Page, name: str) -> None:
    """Take a picture of what the window shows."""
    page.mouse.move(0, 0)
    path = DOCS / f"dashboard-{name}.png"
    page.screenshot(path=path)
    print(f"{path.relative_to(DOCS.parent)}: {path.stat().st_size // 1024} KiB")
    assert path.stat().st_size <= PICTURE_SIZE_BYTES_MAX


def page_of(browser: Browser, url: str, width: int, height: int, scheme: str, view: str = "") -> Page:
    """Open a view of the page in a window of its own."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(f"{url}/#/{view}")
    return page


def shoot_files(browser: Browser, url: str, directory: Path) -> None:
    """Show the file browser while something is uploaded."""
    page = page_of(browser, url, 1180, 720, "dark", "files/")
    expect(page.get_by_role("link", name="checkpoints")).to_be_visible()
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 2 * MIB}
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", slow)
    names = ("small talk.mp3", "weights-final.safetensors")
    for name, size in zip(names, (300_000, 9 * MIB), strict=True):
        (directory / name).write_bytes(os.urandom(size))
    page.locator("#chooser").set_input_files([directory / name for name in names])
    page.wait_for_function("() => [...document.querySelectorAll('progress')].some(({ value }) => value > 60)")
    shoot(page, "files")
    page.close()


def main() -> None:
    """Take all of them."""
    with (
        ThreadPoolExecutor(1) as threads,
        tempfile.TemporaryDirectory() as scratch,
        LocalCluster(5) as cluster,
        gateway_process(cluster, Path(scratch) / "errors") as url,
        cluster.connect() as client,
    ):
        for path, size in TREE.items():
            client.make_directory(os.path.dirname(f"/{path}"), parents=True, exist_ok=True)
            client.put(f"/{path}", os.urandom(size))
        with sync_playwright() as playwright, chromium(playwright) as browser:
            wide = page_of(browser, url, 1180, 940, "light")
            narrow = page_of(browser, url, 360, 760, "dark")
            with Traffic(client):
                wide.evaluate(
                    """async () => { for (let turn = 0; turn < 90; turn += 1) {
                        const swell = 1.3 + Math.sin(turn / 8);
                        const body = new Uint8Array(swell * 2 ** 20);
                        await fetch("/v1/files/embeddings.npy", { method: "PUT", body });
                        const fresh = { cache: "no-store" };
                        if (turn % 3 === 0) await (await fetch("/v1/files/photo of the team.jpg", fresh)).arrayBuffer();
                        await new Promise((resolve) => setTimeout(resolve, 450));
                    } }"""
                )
                shoot(wide, "light")
                threads.submit(cluster.stop_chunkserver, 4).result()
                expect(narrow.locator("#nodes .pill.bad")).to_have_count(1, timeout=60_000)
                shoot(narrow, "narrow")
                wide.emulate_media(color_scheme="dark")
                shoot(wide, "dark")
            shoot_files(browser, url, Path(scratch))


if __name__ == "__main__":
    main()
