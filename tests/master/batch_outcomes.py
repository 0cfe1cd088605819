"""What came of the items of one call."""

from dstore.core.errors import DstoreError


def outcomes(*answers: object) -> list[str]:
    """Return for each answer "done", or the reason of the refusal."""
    return [answer.reason if isinstance(answer, DstoreError) else "done" for answer in answers]
