"""Calls about many files: every item arrives as it was sent, with its answer or its error."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from dstore.core import errors
from dstore.core.errors import ALL_ERRORS, DstoreError, InvalidRequest
from dstore.core.files import (
    ABSENT,
    ANY,
    ChunkPage,
    ChunkRecord,
    FileInfo,
    FileKind,
    FileReservation,
    OpenedFile,
    Precondition,
    PreconditionKind,
    RemoveResult,
    SmallFile,
    WrappedKey,
)
from dstore.core.groups import Group, MemberState, Replica, ServerPhase
from dstore.core.ids import ChunkId, ClusterId, FileId, GroupId, RequestId, ServerId, Version
from dstore.core.limits import BATCH_ITEMS_MAX, BATCH_SIZE_BYTES_MAX, INLINE_SIZE_BYTES_MAX
from dstore.rpc.channel import Connection
from dstore.rpc.convert.batches import (
    infos_from_proto,
    opened_from_proto,
    removed_from_proto,
    reservation_from_proto,
    small_file_from_proto,
    small_file_to_proto,
)
from dstore.rpc.server import RpcServer
from dstore.rpc.status import error_from_proto, error_to_proto
from dstore.v1 import namespace_service_pb2 as v1
from dstore.v1 import types_pb2

KEY = WrappedKey(1, b"8 bytes.", b"wrapped")
FILE = SmallFile("/ü", ANY, FileId(1), FileId(20), Version(30), 3, b"sealed", (KEY, replace(KEY, kind=2)))
INFO = FileInfo("/ü", FileKind.FILE, FileId(20), 3, Version(30), 1_700_000_000_123_456_789, 1_800_000_000_000_000_001)
DIRECTORY = FileInfo("/", FileKind.DIRECTORY, FileId(1), 0, Version(1), 5, 6)
CLUSTER_ID = ClusterId("00000000-0000-4000-8000-000000000001")
SERVER_ID = ServerId("00000000-0000-4000-8000-000000000002")
GROUP = Group(GroupId(7), 1, (Replica(SERVER_ID, "cs-1", "127.0.0.1:1", ServerPhase.UP, MemberState.WHOLE),))
RECORD = ChunkRecord(0, ChunkId(GroupId(7), 9), 128, 5, bytes(56))
SMALL = OpenedFile(INFO, CLUSTER_ID, FileId(1), 16384, b"sealed", (KEY,), ChunkPage((), ()))
LARGE = replace(SMALL, info=replace(INFO, chunk_count=1), page=ChunkPage((RECORD,), (GROUP,)))


def all_errors() -> tuple[DstoreError, ...]:
    return tuple(kind("What happened, é. What to do.", metadata={"path": "/é"}) for kind in ALL_ERRORS)


class Answering:
    """A namespace that notes what it is asked, and answers what it is told."""

    def __init__(self) -> None:
        self.asked: Any = None
        self.answers: Any = ()

    async def _answer(self, asked: object) -> Any:
        self.asked = asked
        if isinstance(self.answers, DstoreError):
            raise self.answers
        return self.answers

    reserve_files = put_files = open_files = stat_files = remove_files = _answer


@pytest.fixture
async def answering() -> AsyncIterator[tuple[Answering, Connection]]:
    namespace = Answering()
    server = RpcServer("127.0.0.1:0", namespace=namespace)  # type: ignore[arg-type]
    connection = Connection(await server.start())
    yield namespace, connection
    await connection.close()
    await server.stop(0)


def same(answers: tuple[object, ...], expected: tuple[object, ...]) -> bool:
    """Whether answers are equal, with errors by all that is in them."""

    def plain(answer: object) -> object:
        if not isinstance(answer, DstoreError):
            return answer
        return type(answer), answer.reason, answer.message, answer.metadata

    return [plain(answer) for answer in answers] == [plain(answer) for answer in expected]


async def test_each_item_arrives_with_its_answer_or_its_error(answering: tuple[Answering, Connection]) -> None:
    namespace, connection = answering
    client = connection.namespace
    refusals = all_errors()
    count = 2 + len(refusals)

    namespace.answers = FileReservation(FileId(5), Version(6), 7)
    assert await client.reserve_files(7) == namespace.answers
    assert namespace.asked == 7

    files: tuple[SmallFile, ...] = (FILE, replace(FILE, precondition=ABSENT))
    version = Precondition(PreconditionKind.VERSION, Version(4))
    files += tuple(replace(FILE, path=f"/{number}", precondition=version) for number in range(len(refusals)))
    items = tuple((file, RequestId(f"request-{number}")) for number, file in enumerate(files))
    namespace.answers = (INFO, *refusals, DIRECTORY)
    assert same(await client.put_files(items), namespace.answers)
    assert namespace.asked == items

    paths = tuple(f"/é/{number}" for number in range(count))
    assert same(await client.stat_files(paths), namespace.answers)
    assert namespace.asked == paths
    namespace.answers = (SMALL, *refusals, LARGE)
    assert same(await client.open_files(paths), namespace.answers)
    assert namespace.asked == paths

    removals = tuple((path, number % 2 == 0, RequestId(f"x-{number}")) for number, path in enumerate(paths))
    namespace.answers = (RemoveResult(1, 0), *refusals, RemoveResult(0, 0))
    assert same(await client.remove_files(removals), namespace.answers)
    assert namespace.asked == removals


async def test_nothing_is_an_answer_to_nothing(answering: tuple[Answering, Connection]) -> None:
    client = answering[1].namespace
    assert await client.put_files(()) == await client.open_files(()) == await client.stat_files(()) == ()
    assert await client.remove_files(()) == ()


async def test_what_the_bounds_allow_fits_into_a_message(answering: tuple[Answering, Connection]) -> None:
    namespace, connection = answering
    count = BATCH_SIZE_BYTES_MAX // (INLINE_SIZE_BYTES_MAX + 512)
    large = replace(FILE, sealed_manifest=bytes(INLINE_SIZE_BYTES_MAX + 256))
    namespace.answers = (INFO,) * count
    await connection.namespace.put_files(((large, RequestId("x" * 36)),) * count)
    full = errors.LimitExceeded("The items before fill the answer; send this one again.", reason="BATCH_FULL")
    opened = replace(SMALL, sealed_manifest=large.sealed_manifest)
    namespace.answers = (opened,) * count + (full,) * (BATCH_ITEMS_MAX - count)
    assert len(await connection.namespace.open_files(("/",) * BATCH_ITEMS_MAX)) == BATCH_ITEMS_MAX


async def test_an_error_of_the_whole_call_is_raised(answering: tuple[Answering, Connection]) -> None:
    namespace, connection = answering

    namespace.answers = errors.LimitExceeded("Too many.", reason="TOO_MANY_ITEMS")
    with pytest.raises(errors.LimitExceeded) as caught:
        await connection.namespace.stat_files(("/",))
    assert caught.value.reason == "TOO_MANY_ITEMS"


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_answers_to_another_number_of_items_are_refused(
    answering: tuple[Answering, Connection], count: int
) -> None:
    namespace, connection = answering
    namespace.answers = (INFO,) * count
    with pytest.raises(errors.Internal) as caught:
        await connection.namespace.stat_files(("/", "/"))
    assert caught.value.reason == "ANSWER_INVALID"


@pytest.mark.parametrize(
    "status",
    [
        types_pb2.ErrorStatus(),
        types_pb2.ErrorStatus(code=0, reason="FILE_NOT_FOUND"),
        types_pb2.ErrorStatus(code=17, reason="FILE_NOT_FOUND"),
        types_pb2.ErrorStatus(code=4_000_000_000, reason="FILE_NOT_FOUND"),
        types_pb2.ErrorStatus(code=5),
        types_pb2.ErrorStatus(code=5, reason="not a reason"),
        types_pb2.ErrorStatus(code=5, reason="A" * 65),
    ],
)
def test_an_error_that_is_none_is_refused(status: types_pb2.ErrorStatus) -> None:
    with pytest.raises(InvalidRequest):
        error_from_proto(status)
    with pytest.raises(InvalidRequest):
        infos_from_proto([v1.FileInfoResult(error=status)], 1)
    with pytest.raises(InvalidRequest):
        opened_from_proto(v1.OpenFilesResponse(results=[v1.OpenFileResult(error=status)]), 1)
    with pytest.raises(InvalidRequest):
        removed_from_proto(v1.RemoveFilesResponse(results=[v1.RemoveFileResult(error=status)]), 1)


def test_a_result_without_anything_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        infos_from_proto([v1.FileInfoResult()], 1)
    with pytest.raises(InvalidRequest):
        opened_from_proto(v1.OpenFilesResponse(results=[v1.OpenFileResult()]), 1)
    with pytest.raises(InvalidRequest):
        removed_from_proto(v1.RemoveFilesResponse(results=[v1.RemoveFileResult()]), 1)


def test_texts_of_errors_are_bounded_and_harmless() -> None:
    status = error_to_proto(errors.NotFound("x" * 5_000))
    assert len(status.message) == 2_000
    status.message = "\x1b[2J" + "y" * 5_000
    assert "\x1b" not in error_from_proto(status).message
    assert len(error_from_proto(status).message) < 2_010


@pytest.mark.parametrize(
    "response",
    [
        v1.ReserveFilesResponse(first_file_id=2, first_version=2, count=3),
        v1.ReserveFilesResponse(first_file_id=0, first_version=2, count=4),
        v1.ReserveFilesResponse(first_file_id=2, first_version=0, count=4),
    ],
)
def test_another_reservation_is_refused(response: v1.ReserveFilesResponse) -> None:
    with pytest.raises(InvalidRequest):
        reservation_from_proto(response, 4)


def test_what_is_wrong_with_an_item_is_for_the_master_to_say() -> None:
    wrong = v1.SmallFile(
        file_id=(1 << 64) - 1,
        version=(1 << 64) - 1,
        size_bytes=(1 << 32) - 1,
        sealed_manifest=bytes(100_000),
        wrapped_keys=[types_pb2.WrappedKey(kind=(1 << 32) - 1, key_id=b"short", data=bytes(5_000))] * 65,
        request_id="x" * 65,
    )
    file, request_id = small_file_from_proto(wrong)
    assert small_file_to_proto(file, request_id) == v1.SmallFile(
        precondition={}, **{field.name: value for field, value in wrong.ListFields()}
    )
