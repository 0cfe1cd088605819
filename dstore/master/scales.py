"""How full the disks are and what share of the memberships each server has: what the balancer goes by."""

from collections import Counter
from collections.abc import Mapping, Sequence

from dstore.core.ids import ServerId
from dstore.core.limits import FILL_PLACEMENT_MAX
from dstore.master.candidates import Burden
from dstore.master.triage import Scene
from dstore.master.views import PlannedGroup

#: Part of the tolerance at which evening out ends.
_AIM = 0.8


class Scales:
    """How full each disk is, and what its share of the memberships is.

    Of a group that is being filled, some is on the target's disk already, nobody knows how much. So a disk that gives
    is weighed without what comes in (``held_bytes``), one that takes is weighed with all of it (``expected_bytes``),
    and ``peak_bytes`` is what it holds before anything has left.

    Attributes:
        mean: fill of all disks together.
        high, low: the fill that evening out aims at, at most and at least.
        shares: memberships that each server should have.
    """

    def __init__(self, scene: Scene, groups: Sequence[PlannedGroup], tolerance: float) -> None:
        burden = Burden(groups)
        self.scene = scene
        self.tolerance = tolerance
        taking = {server_id: server for server_id, server in scene.servers.items() if server.takes_members}
        self.totals = {server_id: server.capacity.total_bytes for server_id, server in taking.items()}
        self.held_bytes = {
            server_id: server.capacity.used_bytes - burden.outgoing_bytes[server_id]
            for server_id, server in taking.items()
        }
        self.expected_bytes = {
            server_id: held + burden.incoming_bytes[server_id] for server_id, held in self.held_bytes.items()
        }
        self.peak_bytes = {
            server_id: server.capacity.used_bytes + burden.incoming_bytes[server_id]
            for server_id, server in taking.items()
        }
        self.mean = sum(self.expected_bytes.values()) / sum(self.totals.values())
        self.high, self.low = self.mean + _AIM * tolerance, self.mean - _AIM * tolerance
        self.memberships = Counter({server_id: burden.memberships[server_id] for server_id in taking})
        self.shares = _fair_shares(self.totals, self.memberships.total(), len(groups))

    def fill(self, server_id: ServerId) -> float:
        """Return how full the disk will be."""
        return self.expected_bytes[server_id] / self.totals[server_id]

    def spread(self) -> float:
        """Return the largest distance from the mean; rounded, so that what is equal on paper is equal here."""
        return round(max(abs(self.fill(server_id) - self.mean) for server_id in self.totals), 9)

    def lack(self, server_id: ServerId) -> float:
        """Return how many memberships a server lacks for its share; negative when it has more."""
        return self.shares[server_id] - self.memberships[server_id]

    def lacking(self, slack: float) -> list[ServerId]:
        """Return the servers that lack more than that part of their share, and more than one membership."""
        return [server_id for server_id, share in self.shares.items() if self.lack(server_id) > max(1.0, slack * share)]

    def room_bytes(self, source: ServerId, target: ServerId) -> float:
        """Return the largest group that may move so that both disks stay, or come, within the aim."""
        return min(
            self.held_bytes[source] - self.low * self.totals[source],
            self.high * self.totals[target] - self.expected_bytes[target],
            # Strictly below the watermark, as placement wants it.
            FILL_PLACEMENT_MAX * self.totals[target] - self.peak_bytes[target] - 1,
        )

    def shift(self, source: ServerId, target: ServerId, size_bytes: int) -> None:
        """Take note of a membership that moves."""
        self.held_bytes[source] -= size_bytes
        self.expected_bytes[source] -= size_bytes
        self.expected_bytes[target] += size_bytes
        self.peak_bytes[target] += size_bytes
        self.memberships[source] -= 1
        self.memberships[target] += 1

    def refusal(self) -> str:
        """Return why some disks stay further from the mean than they should."""
        names = {server_id: self.scene.servers[server_id].name for server_id in self.totals}
        room = [each for each in self.totals if self.peak_bytes[each] < FILL_PLACEMENT_MAX * self.totals[each]]
        worst = max(self.totals, key=lambda server_id: (abs(self.fill(server_id) - self.mean), server_id))
        state = f"{names[worst]} will be {self.fill(worst):.0%} full and the mean is {self.mean:.0%}"
        if self.mean + self.tolerance >= FILL_PLACEMENT_MAX or not room:
            return (
                f"Data cannot be spread evenly: {state}, but disks are filled to {FILL_PLACEMENT_MAX:.0%} at most; "
                "add chunkservers or remove files."
            )
        return (
            f"Data cannot be spread more evenly: {state}, but no group that could move fits; the other chunkservers "
            f"hold a copy of it, share a {self.scene.policy.failure_domain} with one, or would get too full; add "
            "chunkservers."
        )


def _fair_shares(totals: Mapping[ServerId, int], memberships: int, group_count: int) -> dict[ServerId, float]:
    """Return how many memberships each server should have: by capacity, but none more than there are groups."""
    shares: dict[ServerId, float] = {}
    left, left_bytes = float(memberships), sum(totals.values())
    for server_id, total_bytes in sorted(totals.items(), key=lambda each: (-each[1], each[0])):
        shares[server_id] = min(float(group_count), left * total_bytes / left_bytes)
        left -= shares[server_id]
        left_bytes -= total_bytes
    return shares
