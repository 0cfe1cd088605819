"""Which operation work belongs to: what may be an id, and what becomes of it."""

import asyncio

import pytest

from dstore.core.errors import InvalidRequest
from dstore.core.ids import ChunkId, GroupId
from dstore.core.request_ids import (
    NO_REQUEST,
    REQUEST_IDS_PER_CALL_MAX,
    RequestContext,
    bind_chunk,
    current_request,
    is_request_id,
    joined,
    received,
    request_id,
)

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("text", "is_good"),
    [
        ("", False),
        ("a", True),
        ("a" * 128, True),
        ("a" * 129, False),
        ("Az09._:@/+=-", True),
        ("a,b", False),
        ("a b", False),
        ("a\n", False),
        ("a\x1b[31m", False),
        ('a"', False),
        ("ä", False),
    ],
)
def test_what_may_be_a_request_id(text: str, is_good: bool) -> None:
    assert is_request_id(text) is is_good
    assert received(text).request_id == (text if is_good or text == "a,b" else "")
    if not is_good:
        with pytest.raises(InvalidRequest) as caught, request_id(text):
            pass
        assert caught.value.reason == "REQUEST_ID_INVALID"


@pytest.mark.parametrize(
    ("trace_parent", "is_good"),
    [(PARENT, True), (PARENT.upper(), False), (PARENT[:-1], False), (PARENT + "0", False), ("", False)],
)
def test_what_may_be_a_position_in_a_trace(trace_parent: str, is_good: bool) -> None:
    assert received("a", trace_parent).trace_parent == (trace_parent if is_good else "")


def test_a_call_for_several_operations_has_the_ids_of_all_within_a_bound() -> None:
    one, other = (RequestContext(name, PARENT, is_chosen=True) for name in "ab")
    assert joined([RequestContext("made"), one, one]) is one
    assert joined([one, other, RequestContext("made"), one]) == RequestContext("a,b", is_chosen=True)
    assert joined([RequestContext("made"), RequestContext("too")]) is NO_REQUEST
    many = joined([RequestContext(str(number), is_chosen=True) for number in range(REQUEST_IDS_PER_CALL_MAX + 1)])
    assert many.request_id.count(",") == REQUEST_IDS_PER_CALL_MAX - 1
    assert received(many.request_id) == many
    assert received(many.request_id + ",more").request_id == ""


async def test_tasks_belong_to_the_operation_of_their_maker() -> None:
    chunk_id = ChunkId(GroupId(1), 2)

    async def work() -> RequestContext:
        bind_chunk(chunk_id)
        return current_request()

    with request_id("mine"):
        assert await asyncio.create_task(work()) == RequestContext("mine", chunk=chunk_id, is_chosen=True)
        assert current_request() == RequestContext("mine", is_chosen=True)
    assert current_request() == NO_REQUEST
