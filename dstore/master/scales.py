"""How full the disks are and what share of the memberships each server has: what the balancer goes by."""

from collections import Counter
from collections.abc import Mapping, Sequence

from dstore.core.ids import ServerId
from dstore.core.limits import FILL_PLACEMENT_MAX
from dstore.master.candidates import Burden
from dstore.master.triage import LEAVING, Scene
from dstore.master.views import PlannedGroup

#: Part of the tolerance at which evening out ends.
_AIM = 0.8


class Scales:
    """How full each disk is, and what its share of the memberships is.

    A disk is weighed by the groups that are to be on it, and not by what is on it now: what has just left stays in the
    trash for a while, and what is coming is there in part. Weighed with these, disks would give away too much and get
    it back later. Only the watermark is about what is on the disk.

    Attributes:
        totals: sizes of the disks, in bytes.
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
        self.peak_bytes = {
            server_id: server.capacity.used_bytes + burden.incoming_bytes[server_id]
            for server_id, server in taking.items()
        }
        self.assigned_bytes = dict.fromkeys(taking, 0)
        for group in groups:
            for member in group.members:
                if member.state is not LEAVING and member.server_id in taking:
                    self.assigned_bytes[member.server_id] += group.chunk_bytes
        self.smallest_bytes = min((group.chunk_bytes for group in groups if group.chunk_bytes), default=0)
        self.mean = sum(self.assigned_bytes.values()) / sum(self.totals.values())
        self.high, self.low = self.mean + _AIM * tolerance, self.mean - _AIM * tolerance
        self.memberships = Counter({server_id: burden.memberships[server_id] for server_id in taking})
        self.shares = _fair_shares(self.totals, self.memberships.total(), len(groups))

    def fill(self, server_id: ServerId) -> float:
        """Return which part of the disk the groups take that are to be on it."""
        return self.assigned_bytes[server_id] / self.totals[server_id]

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
            self.assigned_bytes[source] - self.low * self.totals[source],
            self.high * self.totals[target] - self.assigned_bytes[target],
            self._room_below_watermark(target),
        )

    def shift(self, source: ServerId, target: ServerId, size_bytes: int) -> None:
        """Take note of a membership that moves."""
        self.assigned_bytes[source] -= size_bytes
        self.assigned_bytes[target] += size_bytes
        self.peak_bytes[target] += size_bytes
        self.memberships[source] -= 1
        self.memberships[target] += 1

    def refusal(self) -> str:
        """Return why some disks stay further from the mean than they should."""
        worst = max(self.totals, key=lambda server_id: (abs(self.fill(server_id) - self.mean), server_id))
        name, fill = self.scene.servers[worst].name, self.fill(worst)
        state = f"the data of {name} takes {fill:.0%} of its disk and the mean is {self.mean:.0%}"
        takers = [each for each in self.totals if self.fill(each) < self.mean]
        if all(self._room_below_watermark(each) < self.smallest_bytes for each in takers):
            return (
                f"Data cannot be spread evenly: {state}, but no disk that should take some has room below "
                f"{FILL_PLACEMENT_MAX:.0%}; add chunkservers or remove files."
            )
        return (
            f"Data cannot be spread more evenly: {state}, but no group that could move fits: the other chunkservers "
            f"hold a copy of it, share a {self.scene.policy.failure_domain} with one, or would get too full; add "
            "chunkservers."
        )

    def _room_below_watermark(self, server_id: ServerId) -> float:
        # Strictly below it, as placement wants it.
        return FILL_PLACEMENT_MAX * self.totals[server_id] - self.peak_bytes[server_id] - 1


def _fair_shares(totals: Mapping[ServerId, int], memberships: int, group_count: int) -> dict[ServerId, float]:
    """Return how many memberships each server should have: by capacity, but none more than there are groups."""
    shares: dict[ServerId, float] = {}
    left, left_bytes = float(memberships), sum(totals.values())
    for server_id, total_bytes in sorted(totals.items(), key=lambda each: (-each[1], each[0])):
        shares[server_id] = min(float(group_count), left * total_bytes / left_bytes)
        left -= shares[server_id]
        left_bytes -= total_bytes
    return shares
