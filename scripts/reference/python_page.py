"""The page of the Python library, from its docstrings."""

from collections.abc import Iterator
from pathlib import Path

import griffe

from scripts.reference.markdown import prose, table

_INTRODUCTION = """\
# Python

The public surface of the library; whatever is not here may change. `import dstore` gives `connect`, `connect_async`,
the clients, `FileInfo`, `FileKind` and the [errors](errors.md). `Client` has every verb of `AsyncClient` without
`await`, for programs without an event loop, and its files are ordinary file objects. `dstore.fsspec` is described in
[fsspec](../fsspec.md), `dstore.testing` in [testing with dstore](../testing-with-dstore.md).
"""
#: What is public: where it is, and the name by which users know it. Methods of the second kind have no page elsewhere.
_FUNCTIONS = (("client.connect", "connect", "dstore"), ("client.connect", "connect_async", "dstore"))
_CLASSES = (
    ("client.client", "AsyncClient", "dstore"),
    ("client.files", "AsyncReadFile", "dstore"),
    ("client.files", "AsyncWriteFile", "dstore"),
    ("core.files", "FileInfo", "dstore"),
    ("core.files", "FileKind", "dstore"),
    ("fsspec.filesystem", "DstoreFileSystem", "dstore.fsspec"),
    ("testing.local_cluster", "LocalCluster", "dstore.testing"),
)


def python_page(root: Path) -> str:
    """Return the page."""
    package = griffe.load("dstore", search_paths=[root], allow_inspection=False)
    parts = [_INTRODUCTION]
    for module, name, public in _FUNCTIONS:
        parts.append(_function(package[f"{module}.{name}"], f"## {public}.{name}", is_member=False))
    for module, name, public in _CLASSES:
        parts.extend(_class(package[f"{module}.{name}"], f"## {public}.{name}"))
    return "".join(parts)


def _class(kind: griffe.Class, heading: str) -> Iterator[str]:
    yield f"\n{heading}\n\n{_text(kind)}"
    members = [
        member.final_target if isinstance(member, griffe.Alias) else member
        for name, member in (kind.members | kind.inherited_members).items()
        if not name.startswith("_") and member.has_docstring
    ]
    rows = [
        [f"`{each.name}`", prose(each.docstring.value)]
        for each in members
        if each.docstring is not None and (each.is_attribute or "property" in each.labels)
    ]
    if rows:
        yield "\n" + table(["attribute", "meaning"], rows)
    for member in members:
        if isinstance(member, griffe.Function):
            yield _function(member, f"### {kind.name}.{member.name}", is_member=True)


def _function(function: griffe.Function, heading: str, *, is_member: bool) -> str:
    signature = ("async " if "async" in function.labels else "") + f"def {function.signature()}"
    if is_member:
        signature = signature.replace("(self, ", "(").replace("(self)", "()")
    return f"\n{heading}\n\n{_code(signature)}\n{_text(function)}"


def _code(signature: str) -> str:
    if len(signature) > 100:
        head, _, rest = signature.partition("(")
        arguments, _, result = rest.rpartition(")")
        signature = head + "(\n" + "".join(f"    {each},\n" for each in _split(arguments)) + ")" + result
    return f"```py\n{signature}\n```\n"


def _split(arguments: str) -> Iterator[str]:
    """Yield arguments one by one; commas inside of brackets separate none."""
    depth, start = 0, 0
    for position, letter in enumerate(arguments):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            yield arguments[start:position].strip()
            start = position + 1
    yield arguments[start:].strip()


def _text(of: griffe.Object) -> str:
    if of.docstring is None:
        return ""
    parts = list[str]()
    for section in griffe.parse_google(of.docstring, warnings=False):
        match section.kind:
            case griffe.DocstringSectionKind.text:
                parts.append(prose(section.value) + "\n")
            case griffe.DocstringSectionKind.parameters | griffe.DocstringSectionKind.attributes:
                rows = [[f"`{each.name}`", prose(each.description)] for each in section.value]
                parts.append(table(["argument" if "param" in section.kind.value else "attribute", ""], rows))
            case griffe.DocstringSectionKind.raises:
                rows = [[f"`{each.annotation}`", prose(each.description)] for each in section.value]
                parts.append(table(["raises", "when"], rows))
            case griffe.DocstringSectionKind.returns | griffe.DocstringSectionKind.yields:
                parts.extend(
                    f"{section.kind.value.capitalize()}: {prose(each.description)}\n" for each in section.value
                )
            case _:
                parts.append(prose(str(section.value)) + "\n")
    return "\n".join(parts)
