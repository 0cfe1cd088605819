"""Renames a path. The manifest of a file binds its name, so a file's is sealed again; no data moves."""

import asyncio
from dataclasses import replace

from dstore.client.answers import is_parent_possible
from dstore.client.opening import compare_manifest, rolled_back, unseal
from dstore.client.session import Session
from dstore.core.backoff import Backoff
from dstore.core.errors import Conflict, Corrupt
from dstore.core.files import NO_VERSION, FileInfo, Precondition, Rename, RenameTicket
from dstore.core.ids import Version
from dstore.core.limits import RENAME_ATTEMPTS_MAX
from dstore.crypto.derivation import NONCE_SIZE_BYTES
from dstore.crypto.keys import unwrap_dek
from dstore.crypto.seal import seal_manifest


async def rename(session: Session, source: str, target: str, wanted: Version, precondition: Precondition) -> FileInfo:
    """Rename in one step; prepared again when somebody changes source or target meanwhile.

    Args:
        wanted: the version of the source; unless it is none, any other one is refused.
        precondition: what must hold of the target.

    Raises:
        Conflict: the source has another version than the one that is wanted, or others kept changing it.
        Corrupt: as ``open_verified``; nothing was renamed.
        DstoreError: as ``Namespace.prepare_rename`` and ``Namespace.rename``.
    """
    backoff = Backoff()
    refusal: Conflict | Corrupt
    for attempt_index in range(RENAME_ATTEMPTS_MAX):
        ticket = await _prepare(session, source, target, precondition)
        if wanted not in (NO_VERSION, ticket.source.version):
            raise _version_changed(source, wanted, ticket.source.version)
        target_place = (session.cluster.cluster_id, ticket.target_parent_id, ticket.target_name)
        seen = await session.marks.highest(*target_place)
        if not ticket.source.is_directory and ticket.version <= seen:
            # A commit of this client may have overtaken the answer; an honest later one is newer.
            refusal = rolled_back(target, ticket.version, seen)
            await asyncio.sleep(backoff.delay_s(attempt_index, session.random.uniform()))
            continue
        sealed = b"" if ticket.source.is_directory else seal_moved(session, source, target, ticket)
        try:
            info = await session.namespace.rename(
                Rename(source, target, ticket.source.version, ticket.version, sealed, precondition),
                request_id=session.request_id(),
            )
        except Conflict as error:
            refusal = error
            await asyncio.sleep(backoff.delay_s(attempt_index, session.random.uniform()))
            continue
        if not ticket.source.is_directory:
            await session.marks.note(*target_place, ticket.version)
        return replace(info, path=target)
    raise refusal


async def _prepare(session: Session, source: str, target: str, precondition: Precondition) -> RenameTicket:
    """Return a ticket for a version that is not older than one that was seen."""
    name = source.rsplit("/", 1)[-1]
    ticket = await session.namespace.prepare_rename(source, target, precondition)
    if ticket.source.is_directory:
        return ticket
    place = (session.cluster.cluster_id, ticket.source_parent_id, name)
    if ticket.source.version < await session.marks.highest(*place):
        # A commit of this client may have overtaken the answer; an honest second answer is newer.
        ticket = await session.namespace.prepare_rename(source, target, precondition)
        seen = await session.marks.highest(*place)
        if not ticket.source.is_directory and ticket.source.version < seen:
            raise rolled_back(source, ticket.source.version, seen)
    return ticket


def seal_moved(session: Session, source: str, target: str, ticket: RenameTicket) -> bytes:
    """Return the manifest of the source, checked as for a read, sealed for the target.

    Raises:
        WrongKey, Corrupt: as ``open_verified``; reason ``TICKET_INVALID``, when the ticket is for something else.
    """
    cluster_id = session.cluster.cluster_id
    name = source.rsplit("/", 1)[-1]
    dek = unwrap_dek(session.keyring, ticket.wrapped_keys, cluster_id, ticket.source.file_id, source)
    manifest = unseal(source, dek, cluster_id, ticket.source.file_id, ticket.sealed_manifest)
    compare_manifest(source, manifest, ticket.source, parent_id=ticket.source_parent_id, name=name)
    if (
        ticket.cluster_id != cluster_id
        or ticket.target_name != target.rsplit("/", 1)[-1]
        or not is_parent_possible(source, ticket.source_parent_id)
        or not is_parent_possible(target, ticket.target_parent_id)
        or ticket.version <= ticket.source.version
    ):
        raise ticket_invalid(source, target)
    moved = replace(manifest, version=ticket.version, parent_id=ticket.target_parent_id, name=ticket.target_name)
    return seal_manifest(dek, moved, session.random.token_bytes(NONCE_SIZE_BYTES))


def _version_changed(path: str, wanted: Version, found: Version) -> Conflict:
    return Conflict(
        f"{path} was changed by somebody else: version {wanted} is wanted, it has {found}. Look again, then redo the "
        "operation.",
        reason="VERSION_CHANGED",
        metadata={"path": path},
    )


def ticket_invalid(source: str, target: str) -> Corrupt:
    """Return the error for a ticket that is not the one that was asked for."""
    return Corrupt(
        f"The master prepared something else than to move {source} to {target}; it is damaged or lying.",
        reason="TICKET_INVALID",
        metadata={"path": source},
    )
