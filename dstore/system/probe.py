"""Asks servers over HTTP whether they are ready: ``python -m dstore.system.probe [--wait-s 60] URL…``.

For health checks of containers, whose image has no curl, and for scripts that wait for a cluster. Exits 0 when every
URL answers 200, and 1 with the last answer on stderr when one does not. Only the standard library is imported,
because a health check starts a new interpreter every few seconds.
"""

import argparse
import http.client
import sys
import time
import urllib.parse
from collections.abc import Sequence

#: One request; a server that cannot say within this time that it is ready is not.
REQUEST_TIMEOUT_S = 3.0
#: Between two requests while waiting.
RETRY_INTERVAL_S = 0.2


def ask(url: str, *, timeout_s: float = REQUEST_TIMEOUT_S) -> str | None:
    """Return None when the server answers 200, else what it answered, in one line."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        return f"{url} is not a URL of the form http://HOST:PORT/readyz"
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)
    try:
        connection.request("GET", parts.path or "/")
        response = connection.getresponse()
        if response.status == http.HTTPStatus.OK:
            return None
        return f"{url} answered {response.status}: {response.read(1024).decode(errors='replace').strip()}"
    except (OSError, http.client.HTTPException) as error:
        return f"{url} does not answer: {error}"
    finally:
        connection.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask every URL, again and again for ``--wait-s`` seconds while one is not ready; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dstore.system.probe", description="Is every server ready?")
    parser.add_argument("urls", nargs="+", metavar="URL", help="for example http://127.0.0.1:7170/readyz")
    parser.add_argument("--wait-s", type=float, default=0.0, help="go on asking for that long (default: ask once)")
    options = parser.parse_args(arguments)
    deadline = time.monotonic() + options.wait_s
    waiting = list(options.urls)
    while True:
        answers = {url: answer for url in waiting if (answer := ask(url)) is not None}
        if not answers:
            return 0
        if time.monotonic() >= deadline:
            sys.stderr.write("\n".join(answers.values()) + "\n")
            return 1
        waiting = list(answers)
        time.sleep(RETRY_INTERVAL_S)


if __name__ == "__main__":
    sys.exit(main())
