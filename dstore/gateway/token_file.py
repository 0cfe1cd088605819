"""The file of tokens while the gateway runs: what is changed in it counts within seconds, without a restart."""

import asyncio
import logging
from pathlib import Path

from dstore.core.errors import DstoreError
from dstore.gateway.identities import load_identities
from dstore.gateway.limits import TOKENS_READ_INTERVAL_S

_log = logging.getLogger("dstore.gateway")


class TokenFile:
    """Reads a file of tokens again and again.

    A file that cannot be used opens the gateway to nobody and closes it to nobody: the tokens read before stay good.

    Attributes:
        identities: whom the gateway knows; always the same object.
        problem: the reason for which the file as it is now cannot be used; None when it can.
    """

    def __init__(self, path: Path) -> None:
        """Read it for the first time.

        Raises:
            DstoreError: as ``load_identities``.
        """
        self._path = path
        self.identities = load_identities(path)
        self.problem: str | None = None

    async def watch(self) -> None:
        """Read it again every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(TOKENS_READ_INTERVAL_S)
            await self.read()

    async def read(self) -> None:
        """Take the tokens that the file has; say in the log what changed."""
        try:
            found = await asyncio.to_thread(load_identities, self._path)
        except DstoreError as error:
            if self.problem != error.reason:
                self.problem = error.reason
                _log.warning("the tokens read before stay good: %s", error.message)
            return
        is_mended, self.problem = self.problem is not None, None
        if self.identities.become(found) or is_mended:
            _log.info("the file of tokens was read again; it has %d", len(found))
