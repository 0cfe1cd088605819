"""With whom open files are shared."""

import pytest

from dstore.core.errors import InvalidRequest
from dstore.core.local_reads import LocalReads, parse_local_reads

OWN, ROOT, OTHER = 1000, 0, 1001


@pytest.mark.parametrize(
    ("setting", "allowed"),
    [(LocalReads.OFF, set()), (LocalReads.OWN, {OWN, ROOT}), (LocalReads.ANY, {OWN, ROOT, OTHER})],
)
def test_who_may_be_on_the_other_side(setting: LocalReads, allowed: set[int]) -> None:
    assert {uid for uid in (OWN, ROOT, OTHER) if setting.allows(uid, own_uid=OWN)} == allowed


def test_only_the_three_names_are_read() -> None:
    assert [parse_local_reads(text, what="X") for text in ("off", "own", "any")] == list(LocalReads)
    for text in ("", "OWN", "on", "own "):
        with pytest.raises(InvalidRequest, match=r"X .* none of: off, own, any") as caught:
            parse_local_reads(text, what="X")
        assert caught.value.reason == "LOCAL_READS_INVALID"
