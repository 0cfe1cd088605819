"""A gateway, and a browser that looks at its page; whatever the page must never do fails the test that it did it in."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Playwright, expect

from dstore.testing import LocalCluster

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
#: What a browser says by itself of a request that was refused, or not answered; the page cannot keep it from that.
REFUSED = "Failed to load resource: "


# A busy machine takes its time.
expect.set_options(timeout=30_000)


@contextmanager
def gateway_process(cluster: LocalCluster, errors: Path, *arguments: str, port: int = 0) -> Iterator[str]:
    """Run a gateway for the block; give its URL."""
    command = [sys.executable, "-m", "dstore", "gateway", "run", "--listen", f"127.0.0.1:{port}", *arguments]
    environment = {**os.environ, **cluster.environment}
    with (
        errors.open("wb") as stderr,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=stderr) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, errors.read_text()
            yield json.loads(line)["url"]
        finally:
            process.terminate()
            process.wait(60)


@contextmanager
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """Run a headless browser, with a new profile, for the block."""
    assert Path(CHROMIUM).exists(), "scripts/system-tools.sh installs it"
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, headless=True)
    try:
        yield browser
    finally:
        browser.close()


@dataclass
class Watched:
    """A page, and what it did that was noted.

    Attributes:
        refusals: what the browser said of requests that were refused; empty unless a test provokes them.
    """

    page: Page
    url: str
    offences: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def open(self, view: str = "") -> Page:
        """Go to a view of the page."""
        self.page.goto(f"{self.url}/#/{view}")
        return self.page

    def note_console(self, message: ConsoleMessage) -> None:
        if message.text.startswith(REFUSED):
            self.refusals.append(message.text)
        elif message.type in ("error", "warning"):
            self.offences.append(f"console: {message.text}")

    def note_request(self, url: str) -> None:
        if urlsplit(url).netloc != urlsplit(self.url).netloc:
            self.offences.append(f"request to {url}")


@contextmanager
def watched_page(browser: Browser, url: str, **context: object) -> Iterator[Watched]:
    """Give a page in a session of its own; at the end, it must have behaved."""
    session = browser.new_context(accept_downloads=True, **context)  # type: ignore[arg-type]
    try:
        page = session.new_page()
        watched = Watched(page, url)
        page.on("console", watched.note_console)
        page.on("pageerror", lambda error: watched.offences.append(f"error: {error}"))
        page.on("request", lambda request: watched.note_request(request.url))
        page.on("popup", lambda popup: watched.offences.append(f"popup: {popup.url}"))

        def note_dialog(dialog: Dialog) -> None:
            watched.offences.append("a script opened a dialog")
            dialog.dismiss()

        page.on("dialog", note_dialog)
        yield watched
        assert watched.offences == []
    finally:
        session.close()


#: Names every control that has no name for people who cannot see it, and every duplicate id.
NAMELESS = """() => {
  const nameless = [...document.querySelectorAll("a, button, input, progress, [role=meter], [role=img], dialog")]
    .filter((each) => each.checkVisibility() && !(each.getAttribute("aria-label") || each.labels?.length
      || each.getAttribute("aria-labelledby") || each.innerText.trim()));
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  return [...nameless.map((each) => each.outerHTML), ...ids.filter((id, at) => ids.indexOf(id) !== at)];
}"""

#: Lists every text whose contrast with what is behind it is below 4.5, as WCAG 2 computes it.
FAINT = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const over = (colors) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const color of colors) { canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (color) => color.map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (element) => {
    const colors = [];
    for (let each = element; each; each = each.parentElement) colors.unshift(getComputedStyle(each).backgroundColor);
    return colors;
  };
  return [...document.querySelectorAll("body *")].filter((each) => each.checkVisibility()
    && [...each.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())).map((each) => {
      const back = behind(each);
      const [one, two] = [light(over(back)), light(over([...back, getComputedStyle(each).color]))];
      return [(Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05), each.outerHTML.slice(0, 120)];
    }).filter(([contrast]) => contrast < 4.5);
}"""
