"""Which chunkservers to turn to, and which to leave alone for a while."""

from collections import Counter
from collections.abc import Mapping

from dstore.core.environment import Clock
from dstore.core.groups import Group, MemberState, Replica, ServerPhase
from dstore.core.ids import ServerId
from dstore.core.limits import SERVER_AVOID_DURATION_S

_PHASE_RANK = {ServerPhase.UP: 0, ServerPhase.SUSPECT: 3, ServerPhase.DOWN: 4, ServerPhase.OUT: 5}
#: What a member lacks that is still being filled, it says at once; one that failed may take its time to fail again.
_FILLING_RANK = 1
_AVOIDED_RANK = 2


class AvoidedServers:
    """Chunkservers that failed this client a moment ago: it knows earlier than the master does."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until_s: dict[ServerId, float] = {}

    def add(self, server_id: ServerId) -> None:
        """Avoid a server from now on, for ``SERVER_AVOID_DURATION_S``."""
        self._until_s[server_id] = self._clock.monotonic_s() + SERVER_AVOID_DURATION_S

    def current(self) -> tuple[ServerId, ...]:
        """Return the servers to avoid now, in a fixed order."""
        now_s = self._clock.monotonic_s()
        self._until_s = {server_id: until for server_id, until in self._until_s.items() if until > now_s}
        return tuple(sorted(self._until_s))


class ServerUse:
    """How many streams of this client each chunkserver serves right now."""

    def __init__(self) -> None:
        self._streams: Counter[ServerId] = Counter()

    def begin(self, server_id: ServerId) -> None:
        """Count one stream more."""
        self._streams[server_id] += 1

    def end(self, server_id: ServerId) -> None:
        """Count one stream less."""
        self._streams[server_id] -= 1

    def count(self, server_id: ServerId) -> int:
        """Return how many streams there are."""
        return self._streams[server_id]


def order_replicas(
    group: Group,
    *,
    avoided: tuple[ServerId, ...],
    use: ServerUse,
    jitter: float,
    slowness: Mapping[ServerId, int],
) -> tuple[Replica, ...]:
    """Return the members of a group in the order in which to read from them.

    Servers that are up come first, those last among them that are still being filled; then those that failed a moment
    ago, then suspect ones, then those that the master believes down: it may be wrong. Among equals, the ones from which
    an answer is to be expected first come first: a server that is four times slower gets a quarter of the streams.
    ``jitter``, uniform in [0, 1), spreads the rest, so that many clients do not load the first members alone.
    """
    shift = int(jitter * len(group.members))

    def rank(replica: Replica) -> tuple[int, int]:
        health = max(
            _PHASE_RANK[replica.phase],
            _AVOIDED_RANK if replica.server_id in avoided else 0,
            _FILLING_RANK if replica.state is MemberState.FILLING else 0,
        )
        return health, (use.count(replica.server_id) + 1) * slowness.get(replica.server_id, 1)

    return tuple(sorted(group.members[shift:] + group.members[:shift], key=rank))
