"""When to ask a second replica, and which replicas are slow: how long servers take for the first bytes of a read.

A read whose first bytes take longer than those of 95 % of the reads before it is asked of a second replica as well, and
whoever answers first with good bytes wins. Only a small share of all reads may do so: when everything is slow, asking
twice would make it slower. Reads of a few segments and reads of whole frames are told apart, because a frame takes
longer wherever it comes from. Pure but for the clock.
"""

import math
from collections import deque

from dstore.core.environment import Clock
from dstore.core.groups import Replica
from dstore.core.ids import ServerId
from dstore.core.limits import KIB

#: Ranges up to this size count as short.
_SHORT_SIZE_BYTES_MAX = 256 * KIB
#: Reads that the 95th percentile is taken of, how many it needs, and how often it is computed anew.
_SAMPLES_MAX = 256
_SAMPLES_MIN = 32
_SAMPLES_STEP = 16
_PERCENTILE = 0.95
#: A network and a loop that is busy vary by some milliseconds for no reason that another server would not have.
DELAY_MIN_S = 0.01
#: The first reads, and those after long slowness, wait no longer than this.
DELAY_DEFAULT_S = 0.25
DELAY_MAX_S = 1.0
#: Each read earns this share of a second request, and so many may be saved up.
SHARE_MAX = 0.05
SAVED_MAX = 4.0
#: How much the newest read counts in the mean of a server.
_NEWEST_SHARE = 0.2
#: What was not measured for this long counts half: a slow server is tried again.
_HALF_LIFE_S = 10.0
#: Differences below this are none.
_EQUAL_S = 0.001
#: So much slower than the fastest counts as very slow.
_SLOWNESS_MAX = 64


class Hedging:
    """What one client knows of the time that reads take."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._recent = {is_short: _Recent() for is_short in (False, True)}
        #: By server and kind of read: mean, and when it was measured.
        self._means: dict[tuple[ServerId, bool], tuple[float, float]] = {}
        self._saved = SAVED_MAX
        #: How often a second replica was asked, by who answered first: the ``first``, the ``second``, or ``none``.
        self.winners = {"first": 0, "second": 0, "none": 0}

    def delay_s(self, length_bytes: int) -> float:
        """Return how long to wait for the first bytes of a range before a second replica is asked."""
        percentile_s = self._recent[_is_short(length_bytes)].percentile_s
        return DELAY_DEFAULT_S if percentile_s is None else min(max(percentile_s, DELAY_MIN_S), DELAY_MAX_S)

    def may_ask_second(self) -> bool:
        """Take the right to ask a second replica, if there is any left."""
        if self._saved < 1:
            return False
        self._saved -= 1
        return True

    def note_first_bytes(self, server_id: ServerId, length_bytes: int, elapsed_s: float) -> None:
        """Remember how long a server took; this was a read that earns its share."""
        is_short = _is_short(length_bytes)
        self._saved = min(self._saved + SHARE_MAX, SAVED_MAX)
        self._recent[is_short].add(elapsed_s)
        known, _ = self._means.get((server_id, is_short), (elapsed_s, 0.0))
        self._set(server_id, is_short, known + _NEWEST_SHARE * (elapsed_s - known))

    def note_lost(self, server_id: ServerId, length_bytes: int, elapsed_s: float) -> None:
        """Remember that another server answered first: how long this one would have taken, nobody knows."""
        is_short = _is_short(length_bytes)
        known, _ = self._means.get((server_id, is_short), (elapsed_s, 0.0))
        self._set(server_id, is_short, min(2 * max(known, elapsed_s), 2 * DELAY_MAX_S))

    def slowness(self, members: tuple[Replica, ...], length_bytes: int) -> dict[ServerId, int]:
        """Return how many times slower each of some servers is than the fastest of them, in powers of two.

        A server that nothing is known of counts as fast, so that it is tried.
        """
        is_short = _is_short(length_bytes)
        now_s = self._clock.monotonic_s()
        means = {}
        for replica in members:
            known = self._means.get((replica.server_id, is_short))
            if known is not None:
                means[replica.server_id] = known[0] * 0.5 ** ((now_s - known[1]) / _HALF_LIFE_S)
        best_s = min(means.values(), default=0.0) + _EQUAL_S
        return {
            server_id: min(1 << int(math.log2((mean_s + _EQUAL_S) / best_s)), _SLOWNESS_MAX)
            for server_id, mean_s in means.items()
        }

    def _set(self, server_id: ServerId, is_short: bool, mean_s: float) -> None:
        self._means[server_id, is_short] = mean_s, self._clock.monotonic_s()


class _Recent:
    """The times of the latest reads of one kind."""

    __slots__ = ("_count", "_times_s", "percentile_s")

    def __init__(self) -> None:
        self._times_s: deque[float] = deque(maxlen=_SAMPLES_MAX)
        self._count = 0
        self.percentile_s: float | None = None

    def add(self, elapsed_s: float) -> None:
        self._times_s.append(elapsed_s)
        self._count += 1
        if self._count >= _SAMPLES_MIN and self._count % _SAMPLES_STEP == 0:
            ordered = sorted(self._times_s)
            self.percentile_s = ordered[int(_PERCENTILE * (len(ordered) - 1))]


def _is_short(length_bytes: int) -> bool:
    return length_bytes <= _SHORT_SIZE_BYTES_MAX
