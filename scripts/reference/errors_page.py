"""The page of errors: the classes, and every reason, from the code that raises them."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from dstore.cli.exit_codes import exit_code
from dstore.core.errors import ALL_ERRORS, DstoreError
from scripts.reference.markdown import prose, table

_INTRODUCTION = """\
# Errors and reasons

Every error of dstore is one of these classes, which are also the built-in ones that code for local files catches, and
has a `reason` that never changes its meaning. The command shows it in brackets and in its JSON, the gateway in its
JSON, and gRPC as `google.rpc.ErrorInfo` of the status.
"""
_WHERE = {
    "chunkserver": "chunkserver",
    "cli": "command",
    "client": "client",
    "core": "everywhere",
    "crypto": "client",
    "fsspec": "fsspec",
    "gateway": "gateway",
    "master": "master",
    "rpc": "everywhere",
    "system": "servers",
    "testing": "tests",
}


def errors_page(root: Path) -> str:
    """Return the page."""
    kinds = {kind.__name__: kind for kind in ALL_ERRORS}
    parts = [_INTRODUCTION, "\n## Classes\n\n"]
    rows = [
        [
            f"`{name}`",
            _builtin(kind),
            prose((kind.__doc__ or "").split("\n")[0]),
            str(int(exit_code(kind("")))),
            _code(kind),
        ]
        for name, kind in kinds.items()
    ]
    parts.append(table(["class", "also", "meaning", "exit code", "reason, unless another is given"], rows))
    parts.append(
        "\n## Reasons\n\nWho gives them may pass them on from another: a client tells what the master said.\n\n"
    )
    given = defaultdict[tuple[str, str], set[str]](set)
    for path in sorted((root / "dstore").rglob("*.py")):
        for reason, name in _raised(path, kinds):
            given[reason, name].add(_WHERE[path.relative_to(root / "dstore").parts[0]])
    reasons = [
        [f"`{reason}`", f"`{name}`", ", ".join(sorted(where))] for (reason, name), where in sorted(given.items())
    ]
    return "".join([*parts, table(["reason", "class", "given by"], reasons)])


def _builtin(kind: type[DstoreError]) -> str:
    others = [base.__name__ for base in kind.__mro__ if base.__module__ == "builtins"]
    return f"`{others[0]}`" if others[0] != "Exception" else ""


def _code(kind: type[DstoreError]) -> str:
    return f"`{kind.default_reason}`"


def _raised(path: Path, kinds: dict[str, type[DstoreError]]) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            reasons = [each.value for each in node.keywords if each.arg == "reason"]
            if name in kinds and reasons and isinstance(reasons[0], ast.Constant):
                yield str(reasons[0].value), name
