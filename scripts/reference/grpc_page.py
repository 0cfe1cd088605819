"""The page of the gRPC interface, from the descriptor set that the servers' reflection serves, with its comments."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2

from scripts.reference.markdown import prose, table

_INTRODUCTION = """\
# gRPC

Package `dstore.v1`. The comments are the specification; `grpcurl -plaintext 127.0.0.1:7070 describe` shows the same of
a running master. `AdminService` and `NamespaceService` are the master's, for operators and clients; `ClusterService` is
what chunkservers tell the master; `ChunkService` is the chunkservers' own. Errors are statuses with a
`google.rpc.ErrorInfo`, whose reason is listed as `CODE / REASON`, and in [errors](errors.md).
"""
_PACKAGE = ".dstore.v1."
_Field = descriptor_pb2.FieldDescriptorProto
#: Numbers of the fields by which a descriptor names its parts.
_MESSAGES, _ENUMS, _SERVICES = 4, 5, 6


def grpc_page(root: Path) -> str:
    """Return the page."""
    files = descriptor_pb2.FileDescriptorSet.FromString((root / "dstore/v1/dstore.protoset").read_bytes()).file
    ours = [file for file in files if file.package == "dstore.v1"]
    parts = [_INTRODUCTION]
    for file in ours:
        parts.extend(_services(file, _comments(file)))
    for file in ours:
        parts.extend(_messages(file, _comments(file)))
    for file in ours:
        parts.extend(_enums(file, _comments(file)))
    return "".join(parts)


def _comments(file: descriptor_pb2.FileDescriptorProto) -> dict[tuple[int, ...], str]:
    return {
        tuple(place.path): place.leading_comments.strip("\n") or place.trailing_comments.strip("\n")
        for place in file.source_code_info.location
    }


def _services(file: Any, comments: dict[tuple[int, ...], str]) -> Iterator[str]:
    for index, service in enumerate(file.service):
        yield f"\n## {service.name}\n\n{_prose(comments.get((_SERVICES, index), ''))}\n"
        for number, method in enumerate(service.method):
            asks = ("stream " if method.client_streaming else "") + _type(method.input_type)
            gives = ("stream " if method.server_streaming else "") + _type(method.output_type)
            yield f"\n### {service.name}.{method.name}\n\n`{asks}` → `{gives}`\n\n"
            yield _prose(comments.get((_SERVICES, index, 2, number), "")) + "\n"


def _messages(file: Any, comments: dict[tuple[int, ...], str]) -> Iterator[str]:
    for index, message in enumerate(file.message_type):
        yield from _message(message, message.name, (_MESSAGES, index), comments)


def _message(message: Any, name: str, path: tuple[int, ...], comments: dict[tuple[int, ...], str]) -> Iterator[str]:
    if message.options.map_entry:
        return
    rows = [
        [f"`{field.name}`", f"`{_field_type(field)}`", _prose(comments.get((*path, 2, number), ""))]
        for number, field in enumerate(message.field)
    ]
    if rows:
        yield f"\n## {name}\n\n{_prose(comments.get(path, ''))}\n"
        yield "\n" + table(["field", "type", "meaning"], rows)
    for number, below in enumerate(message.nested_type):
        yield from _message(below, f"{name}.{below.name}", (*path, 3, number), comments)


def _enums(file: Any, comments: dict[tuple[int, ...], str]) -> Iterator[str]:
    for index, enum in enumerate(file.enum_type):
        yield f"\n## {enum.name}\n\n{_prose(comments.get((_ENUMS, index), ''))}\n\n"
        rows = [
            [f"`{value.name}`", str(value.number), _prose(comments.get((_ENUMS, index, 2, number), ""))]
            for number, value in enumerate(enum.value)
        ]
        yield table(["value", "number", "meaning"], rows)


def _type(name: str) -> str:
    return name.removeprefix(_PACKAGE).removeprefix(".")


def _field_type(field: descriptor_pb2.FieldDescriptorProto) -> str:
    plain = _Field.Type.Name(field.type).removeprefix("TYPE_").lower()
    name = _type(field.type_name) if field.type_name else plain
    before = "repeated " if field.label == _Field.LABEL_REPEATED else "optional " if field.proto3_optional else ""
    return before + name


def _prose(comment: str) -> str:
    """Return a comment with its paragraphs and lists, and reasons as code."""
    lines = [line.removeprefix(" ") for line in comment.splitlines()]
    text = "\n".join(re.sub(r"^\* ", "- ", line) for line in lines)
    text = re.sub(r"^(Errors:)\n(?!\n)", r"\1\n\n", text, flags=re.MULTILINE)
    return re.sub(r"\b([A-Z][A-Z_]+ / [A-Z][A-Z0-9_]+)\b", r"`\1`", prose(text))
