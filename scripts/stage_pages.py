"""Copies docs/ and mkdocs.yml to the directory that is named, ready to be built as a site.

On the code host a page may link to a file outside of docs/, as to an example or to the README. The site has no such
file: there the link becomes its text.
"""

import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]\[]+)\]\((?P<target>[^)#\s]+)(?:#[^)\s]*)?\)")


def for_the_site(page: Path, text: str) -> str:
    """Return the text of a page with links inside of docs/, and to other sites, only."""

    def shown(link: re.Match[str]) -> str:
        target = link["target"]
        if "://" in target or (page.parent / target).resolve().is_relative_to(ROOT / "docs"):
            return link[0]
        return link["text"]

    return _LINK.sub(shown, text)


def main(stage: Path) -> None:
    """Fill the directory, which is emptied first."""
    shutil.rmtree(stage, ignore_errors=True)
    shutil.copytree(ROOT / "docs", stage / "docs")
    shutil.copy(ROOT / "mkdocs.yml", stage)
    for page in (ROOT / "docs").rglob("*.md"):
        text = for_the_site(page, page.read_text(encoding="utf-8"))
        (stage / page.relative_to(ROOT)).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
