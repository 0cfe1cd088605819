"""Emptying the trash: what lay in it for long enough is unlinked."""

import asyncio
import logging
import math

from dstore.chunkserver.chunkstore import ChunkStore
from dstore.core.environment import Clock
from dstore.core.errors import DstoreError
from dstore.core.upkeep import UpkeepSettings

#: The trash is looked at after this share of the delay, within these bounds.
_SHARE = 0.1
_INTERVAL_MIN_S = 1.0
_INTERVAL_MAX_S = 60.0

_log = logging.getLogger(__name__)


class Purge:
    """Unlinks what was in the trash for longer than the master says."""

    def __init__(self, store: ChunkStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._delay_s = math.inf
        self._is_changed = asyncio.Event()

    def configure(self, settings: UpkeepSettings) -> None:
        """Go by these from now on."""
        if settings.trash_delay_s != self._delay_s:
            self._delay_s = settings.trash_delay_s
            self._is_changed.set()

    async def run(self) -> None:
        """Purge until cancelled; not before the delay is known."""
        await self._is_changed.wait()
        while True:
            self._is_changed.clear()
            try:
                await self._store.trash.purge(self._clock.monotonic_s(), self._delay_s)
            except DstoreError as error:
                # What could not be unlinked is tried again; a disk that fails is reported as suspect.
                _log.warning("the trash cannot be emptied: %s", error)
            await self._pause(min(_INTERVAL_MAX_S, max(_INTERVAL_MIN_S, self._delay_s * _SHARE)))

    async def _pause(self, duration_s: float) -> None:
        """Wait, but no longer than until another delay counts."""
        try:
            async with asyncio.timeout(duration_s):
                await self._is_changed.wait()
        except TimeoutError:
            return
