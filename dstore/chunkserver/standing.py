"""Whose orders are obeyed: the ``STANDING`` record, the highest standing of a master that this disk saw.

    orders have …                                             they are
    the same history, neither number lower                    obeyed, once their standing is durable
    the same history, a lower leader epoch                    refused: of a leader that was followed by another
    the same history, a lower transaction                     refused: of metadata that was restored from an old copy
    another history and a higher leader epoch                 obeyed, once their standing is durable
    another history and no higher leader epoch                refused

A master that goes to safe mode starts a history with an epoch above all that its chunkservers report, so it is obeyed
everywhere; one that does not know that it was restored is obeyed nowhere, and learns it from the reports.
"""

import asyncio
import errno
import logging

from dstore.chunkserver import paths
from dstore.chunkserver.durable import TemporaryNames, read_record, write_record
from dstore.core.environment import Disk
from dstore.core.errors import Corrupt, NotReady
from dstore.core.upkeep import Standing

FORMAT_VERSION = 1
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

_log = logging.getLogger(__name__)


def objection(seen: Standing | None, orders: Standing) -> str | None:
    """Return why orders of this standing are refused by a server that saw ``seen``; None when they are obeyed."""
    if seen is None:
        return None
    if orders.history_id != seen.history_id:
        if orders.leader_epoch > seen.leader_epoch:
            return None
        return (
            f"they are of history {orders.history_id} at leader epoch {orders.leader_epoch}, but this server saw "
            f"history {seen.history_id} at epoch {seen.leader_epoch}"
        )
    if orders.leader_epoch < seen.leader_epoch:
        return f"they are of leader epoch {orders.leader_epoch}, but this server saw {seen.leader_epoch}"
    if orders.transaction < seen.transaction:
        return f"they are as of transaction {orders.transaction}, but this server saw {seen.transaction}"
    return None


class StandingRecord:
    """Remembers the highest standing, durably. Made by ``open``.

    Attributes:
        seen: the highest standing; None on a fresh disk.
    """

    def __init__(self, disk: Disk, names: TemporaryNames, seen: Standing | None) -> None:
        self.seen = seen
        self._disk = disk
        self._names = names
        self._saving = asyncio.Lock()
        self._durable = seen

    @classmethod
    async def open(cls, disk: Disk, names: TemporaryNames) -> "StandingRecord":
        """Read the record.

        A damaged one does not keep the server from starting: what the disk holds is worth more than the memory of
        who gave orders. But it is said, since a leader that was followed by another could be obeyed once more.

        Raises:
            OSError: the disk cannot be read.
        """
        try:
            fields = await read_record(disk, paths.STANDING)
            return cls(disk, names, None if fields is None else _decode(fields))
        except Corrupt as error:
            _log.error("the standing cannot be read, so the next orders are obeyed, whoever gives them: %s", error)
            return cls(disk, names, None)

    def is_durable(self, standing: Standing) -> bool:
        """Tell whether this very standing is the one that is stored, so that adopting it writes nothing."""
        return standing == self._durable == self.seen

    async def adopt(self, standing: Standing) -> None:
        """Accept orders of this standing: when this returns, none that are older will ever be obeyed.

        Raises:
            NotReady: reason ``ORDERS_OUTDATED``: the orders are to be refused.
            OSError: nothing was adopted.
        """
        async with self._saving:
            problem = objection(self.seen, standing)
            if problem is not None:
                raise NotReady(
                    f"The orders of the master are not obeyed: {problem}. If its metadata was restored from an old "
                    "copy, it goes to safe mode as soon as it has heard this server's report.",
                    reason="ORDERS_OUTDATED",
                )
            if self.is_durable(standing):
                return
            try:
                await self._save(standing)
            except OSError as error:
                if error.errno not in _FULL or not self._is_known(standing):
                    raise
                # On a full disk the discards have to go on, or it stays full. Whose orders are obeyed is durable;
                # only how far that master had come will be forgotten by a restart.
                self.seen = standing
                return
            # Invariant 7: obeyed only once it cannot be forgotten.
            self.seen = self._durable = standing

    def _is_known(self, standing: Standing) -> bool:
        known = self._durable
        return known is not None and (known.leader_epoch, known.history_id) == (
            standing.leader_epoch,
            standing.history_id,
        )

    async def _save(self, standing: Standing) -> None:
        await write_record(
            self._disk,
            paths.STANDING,
            {
                "format": FORMAT_VERSION,
                "leader_epoch": standing.leader_epoch,
                "history_id": standing.history_id,
                "transaction": standing.transaction,
            },
            temporary=self._names.new(paths.STANDING),
        )


def _decode(fields: dict[str, str | int | None]) -> Standing:
    epoch, history_id, transaction = fields.get("leader_epoch"), fields.get("history_id"), fields.get("transaction")
    if fields.get("format") != FORMAT_VERSION or not (
        isinstance(epoch, int) and isinstance(history_id, str) and isinstance(transaction, int)
    ):
        raise Corrupt("STANDING is of another format.", reason="RECORD_CORRUPT")
    return Standing(epoch, history_id, transaction)
