"""Writes docs/reference, or with ``--check`` says what is not up to date."""

import sys
from pathlib import Path

from scripts.reference.command_page import command_page
from scripts.reference.errors_page import errors_page
from scripts.reference.grpc_page import grpc_page
from scripts.reference.python_page import python_page
from scripts.reference.rest_page import rest_page

ROOT = Path(__file__).parent.parent.parent
PAGES = {
    "command": command_page,
    "errors": errors_page,
    "grpc": grpc_page,
    "python": python_page,
    "rest": rest_page,
}


def main(arguments: list[str]) -> int:
    """Write or compare all pages; return the exit code."""
    directory, stale = ROOT / "docs/reference", list[str]()
    for name, page in PAGES.items():
        path, text = directory / f"{name}.md", page(ROOT).rstrip() + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(str(path.relative_to(ROOT)))
            if "--check" not in arguments:
                path.write_text(text, encoding="utf-8")
    if "--check" in arguments and stale:
        sys.stderr.write(f"{', '.join(stale)} not up to date; run `make reference` and commit the result.\n")
        return 1
    sys.stdout.write(
        "docs/reference is up to date.\n" if "--check" in arguments else f"Written: {stale or 'nothing'}\n"
    )
    return 0


sys.exit(main(sys.argv[1:]))
