"""Calls about many files: each item with its answer or its error.

What is wrong with an item is for the master to say, since it refuses that item alone: nothing is checked here on the
way to it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from dstore.core.errors import DstoreError, InvalidRequest
from dstore.core.files import FileInfo, FileReservation, OpenedFile, RemoveResult, SmallFile, WrappedKey
from dstore.core.ids import FileId, RequestId, Version
from dstore.rpc.convert.files import (
    fill_info,
    info_from_proto,
    precondition_from_proto,
    precondition_to_proto,
    wrapped_keys_to_proto,
)
from dstore.rpc.convert.writes import fill_opened
from dstore.rpc.convert.writes import opened_from_proto as file_from_proto
from dstore.rpc.status import error_from_proto, error_to_proto
from dstore.v1 import namespace_service_pb2 as v1


def reservation_from_proto(response: v1.ReserveFilesResponse, count: int) -> FileReservation:
    """Convert a reservation; it must be the one that was asked for."""
    if response.count != count or response.first_file_id == 0 or response.first_version == 0:
        raise InvalidRequest(f"A reservation of {count} files was asked for, and is not what came.")
    return FileReservation(FileId(response.first_file_id), Version(response.first_version), response.count)


def small_file_to_proto(file: SmallFile, request_id: RequestId) -> v1.SmallFile:
    """Convert a small file."""
    return v1.SmallFile(
        path=file.path,
        precondition=precondition_to_proto(file.precondition),
        parent_id=file.parent_id,
        file_id=file.file_id,
        version=file.version,
        size_bytes=file.size_bytes,
        sealed_manifest=file.sealed_manifest,
        wrapped_keys=wrapped_keys_to_proto(file.wrapped_keys),
        request_id=request_id,
    )


def small_file_from_proto(file: v1.SmallFile) -> tuple[SmallFile, RequestId]:
    """Convert a small file, unchecked."""
    converted = SmallFile(
        path=file.path,
        precondition=precondition_from_proto(file.precondition),
        parent_id=FileId(file.parent_id),
        file_id=FileId(file.file_id),
        version=Version(file.version),
        size_bytes=file.size_bytes,
        sealed_manifest=file.sealed_manifest,
        wrapped_keys=tuple(WrappedKey(key.kind, key.key_id, key.data) for key in file.wrapped_keys),
    )
    return converted, RequestId(file.request_id)


def fill_infos(results: Any, answers: Iterable[FileInfo | DstoreError]) -> None:
    """Add what is known of paths to the results of an answer."""
    for answer in answers:
        if isinstance(answer, DstoreError):
            results.add(error=error_to_proto(answer))
        else:
            fill_info(results.add().info, answer)


def infos_from_proto(results: Sequence[v1.FileInfoResult], count: int) -> tuple[FileInfo | DstoreError, ...]:
    """Convert what is known of ``count`` paths."""
    _check_count(results, count)
    return tuple(
        [
            info_from_proto(result.info) if result.HasField("info") else error_from_proto(result.error)
            for result in results
        ]
    )


def opened_to_proto(answers: Iterable[OpenedFile | DstoreError]) -> v1.OpenFilesResponse:
    """Convert opened files."""
    response = v1.OpenFilesResponse()
    for answer in answers:
        if isinstance(answer, DstoreError):
            response.results.add(error=error_to_proto(answer))
        else:
            fill_opened(response.results.add().file, answer)
    return response


def opened_from_proto(response: v1.OpenFilesResponse, count: int) -> tuple[OpenedFile | DstoreError, ...]:
    """Convert ``count`` opened files."""
    _check_count(response.results, count)
    return tuple(
        [
            file_from_proto(result.file) if result.HasField("file") else error_from_proto(result.error)
            for result in response.results
        ]
    )


def removals_from_proto(request: v1.RemoveFilesRequest) -> tuple[tuple[str, bool, RequestId], ...]:
    """Convert what is to be removed.

    Raises:
        InvalidRequest: reason ``VERSION_NOT_TAKEN``: it would not be looked at.
    """
    for each in request.items:
        if each.version:
            raise InvalidRequest(
                f"Calls about many paths take no versions, and one is given for {each.path[:100]}; remove it by a call "
                "of its own.",
                reason="VERSION_NOT_TAKEN",
            )
    return tuple((each.path, each.recursive, RequestId(each.request_id)) for each in request.items)


def removed_to_proto(answers: Iterable[RemoveResult | DstoreError]) -> v1.RemoveFilesResponse:
    """Convert what was removed."""
    results = [
        v1.RemoveFileResult(error=error_to_proto(answer))
        if isinstance(answer, DstoreError)
        else v1.RemoveFileResult(removed=v1.RemoveResponse(files=answer.files, directories=answer.directories))
        for answer in answers
    ]
    return v1.RemoveFilesResponse(results=results)


def removed_from_proto(response: v1.RemoveFilesResponse, count: int) -> tuple[RemoveResult | DstoreError, ...]:
    """Convert what was removed of ``count`` paths."""
    _check_count(response.results, count)
    return tuple(
        RemoveResult(result.removed.files, result.removed.directories)
        if result.HasField("removed")
        else error_from_proto(result.error)
        for result in response.results
    )


def _check_count(results: Sequence[Any], count: int) -> None:
    if len(results) != count:
        raise InvalidRequest(f"It has {len(results)} results for {count} items.", reason="RESULTS_INVALID")
