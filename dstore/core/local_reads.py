"""Reading chunks of a chunkserver on the same machine from its files: who may take part."""

from enum import Enum

from dstore.core.errors import InvalidRequest

#: The user whose processes can read every file anyway.
ROOT_UID = 0


class LocalReads(Enum):
    """With whom a chunkserver and a client share open files; each side decides for itself."""

    OFF = "off"
    #: Processes of the same user, and of root.
    OWN = "own"
    #: All processes of the machine: for servers that run as a user of their own.
    ANY = "any"

    def allows(self, other_uid: int, *, own_uid: int) -> bool:
        """Tell whether a process of that user may be on the other side."""
        match self:
            case LocalReads.OFF:
                return False
            case LocalReads.OWN:
                return other_uid in (own_uid, ROOT_UID)
            case LocalReads.ANY:
                return True


def parse_local_reads(text: str, *, what: str) -> LocalReads:
    """Return the setting that ``text`` names; ``what`` says in the error where it stands.

    Raises:
        InvalidRequest: reason ``LOCAL_READS_INVALID``.
    """
    try:
        return LocalReads(text)
    except ValueError:
        names = ", ".join(each.value for each in LocalReads)
        raise InvalidRequest(
            f"{what} {text[:64]!r} is none of: {names}.", reason="LOCAL_READS_INVALID", metadata={"value": text[:64]}
        ) from None
