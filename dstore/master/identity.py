"""Whether a chunkserver that wants to join presents itself properly; pure."""

import re

from dstore.core.errors import InvalidRequest, NotReady
from dstore.core.groups import ServerIdentity
from dstore.core.ids import ClusterId, parse_uuid
from dstore.core.limits import SERVER_NAME_SIZE_MAX

_NAME = re.compile(rf"[A-Za-z0-9_.-]{{1,{SERVER_NAME_SIZE_MAX}}}")
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_.-]{1,253}):([0-9]{1,5})")
_LABEL_SIZE_MAX = 255


def check_identity(identity: ServerIdentity, cluster_id: ClusterId) -> None:
    """Refuse an identity that is malformed or of another cluster.

    Raises:
        InvalidRequest: reason ``SERVER_IDENTITY_INVALID``.
        NotReady: reason ``WRONG_CLUSTER``.
    """
    try:
        parse_uuid(identity.server_id, what="server id")
        parse_uuid(identity.boot_id, what="boot id")
        if identity.cluster_id is not None:
            parse_uuid(identity.cluster_id, what="cluster id")
    except InvalidRequest as error:
        raise _identity_invalid(error.message) from error
    if _NAME.fullmatch(identity.name) is None:
        raise _identity_invalid(
            f"The name {identity.name[:80]!r} is not 1 to {SERVER_NAME_SIZE_MAX} letters, digits, '-', '_' and '.'."
        )
    for what, address in (("address", identity.address), ("HTTP address", identity.http_address)):
        match = _ADDRESS.fullmatch(address)
        if (match is None or not 0 < int(match[2]) < 1 << 16) and (address or what == "address"):
            raise _identity_invalid(f"The {what} {address[:80]!r} is not host:port.")
    for what, label in (("host", identity.labels.host), ("rack", identity.labels.rack), ("version", identity.version)):
        if len(label) > _LABEL_SIZE_MAX or not label.isprintable():
            raise _identity_invalid(f"The {what} {label[:80]!r} is longer than {_LABEL_SIZE_MAX} or not printable.")
    if identity.cluster_id is not None and identity.cluster_id != cluster_id:
        raise NotReady(
            f"The disk of {identity.name} belongs to cluster {identity.cluster_id}, this is {cluster_id}; start it "
            "with the master of its own cluster, or with an empty directory.",
            reason="WRONG_CLUSTER",
            metadata={"disk_cluster_id": identity.cluster_id, "cluster_id": cluster_id},
        )


def _identity_invalid(why: str) -> InvalidRequest:
    return InvalidRequest(f"{why} Correct the chunkserver's settings.", reason="SERVER_IDENTITY_INVALID")
