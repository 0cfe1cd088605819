"""Whose disk this is: the ``IDENTITY`` file. It is made once and stays with the directory, whatever host runs it."""

from dataclasses import dataclass, replace

from dstore.chunkserver import paths
from dstore.chunkserver.durable import TemporaryNames, read_record, write_record
from dstore.core.environment import Disk, Random
from dstore.core.errors import Corrupt, NotReady
from dstore.core.ids import ClusterId, ServerId, parse_uuid

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class DiskIdentity:
    """The disk's uuid, and the cluster that it belongs to; None until it has joined one."""

    server_id: ServerId
    cluster_id: ClusterId | None


async def open_identity(disk: Disk, random: Random, names: TemporaryNames) -> DiskIdentity:
    """Return the identity of the disk; a directory without chunks gets one.

    Raises:
        Corrupt: reason ``RECORD_CORRUPT`` when the file is damaged, ``IDENTITY_MISSING`` when there are groups but no
            identity: with a new one, all chunks of this disk would count as lost.
    """
    fields = await read_record(disk, paths.IDENTITY)
    if fields is None:
        if await disk.list(paths.GROUPS):
            raise Corrupt(
                "The directory has chunks but no IDENTITY file, so it is not known whose they are. "
                "Restore IDENTITY from a copy, or start with an empty directory.",
                reason="IDENTITY_MISSING",
            )
        identity = DiskIdentity(ServerId(random.uuid()), None)
        await _save(disk, identity, names)
        return identity
    server_id, cluster_id = fields.get("server_id"), fields.get("cluster_id")
    if fields.get("format") != FORMAT_VERSION or not isinstance(server_id, str) or isinstance(cluster_id, int):
        raise Corrupt(
            f"IDENTITY has format {fields.get('format')!r}; this version of dstore reads {FORMAT_VERSION}. "
            "Run the version that wrote it.",
            reason="RECORD_CORRUPT",
        )
    parse_uuid(server_id, what="server id in IDENTITY")
    if cluster_id is not None:
        parse_uuid(cluster_id, what="cluster id in IDENTITY")
    return DiskIdentity(ServerId(server_id), None if cluster_id is None else ClusterId(cluster_id))


async def bind_cluster(
    disk: Disk, identity: DiskIdentity, cluster_id: ClusterId, names: TemporaryNames
) -> DiskIdentity:
    """Return the identity as a member of the cluster, once that is durable.

    Raises:
        NotReady: reason ``WRONG_CLUSTER``, when the disk belongs to another cluster.
    """
    if identity.cluster_id == cluster_id:
        return identity
    if identity.cluster_id is not None:
        raise NotReady(
            f"This directory belongs to cluster {identity.cluster_id}, but the master is of {cluster_id}. "
            "Name the right master, or use another directory.",
            reason="WRONG_CLUSTER",
            metadata={"cluster_id": identity.cluster_id, "other_cluster_id": cluster_id},
        )
    bound = replace(identity, cluster_id=cluster_id)
    await _save(disk, bound, names)
    return bound


async def _save(disk: Disk, identity: DiskIdentity, names: TemporaryNames) -> None:
    await write_record(
        disk,
        paths.IDENTITY,
        {"format": FORMAT_VERSION, "server_id": identity.server_id, "cluster_id": identity.cluster_id},
        temporary=names.new(paths.IDENTITY),
    )
