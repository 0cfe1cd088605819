"""Which members are to be filled again, because they hold fewer chunks than they must.

A member is filled from the others, and counts for whole then, but for what the rows say that the others lack. So it is
filled only when one of them was seen to hold as much as it must. When nobody was, or when the member lacks chunks
after it has been filled, then copies are gone of which the rows know nothing: the group is looked at chunk by chunk
(``audit``), which records them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dstore.core.ids import GroupId, ServerId
from dstore.master.group_map import GroupMap
from dstore.master.holdings import Holdings
from dstore.master.membership import ServerState
from dstore.master.placement import PlacedGroup

#: How long a report of the other members is waited for, and how long it is between two looks at a group.
PATIENCE_S = 10.0


@dataclass(slots=True)
class _Suspect:
    """A group in which somebody lacks chunks and nobody was seen to have them all."""

    since_s: float
    looked_s: float | None = None


@dataclass(slots=True)
class Refills:
    """What was filled again since this master leads, and which groups the audit is to look at first.

    Attributes:
        wanted: groups for the audit.
    """

    wanted: set[GroupId] = field(default_factory=set)
    _filled: set[tuple[GroupId, ServerId]] = field(default_factory=set)
    _suspects: dict[GroupId, _Suspect] = field(default_factory=dict)

    def choose(
        self,
        lacking: Mapping[ServerId, Iterable[GroupId]],
        groups: GroupMap,
        states: Mapping[ServerId, ServerState],
        holdings: Holdings,
        now_s: float,
    ) -> dict[ServerId, dict[GroupId, int]]:
        """Return, by server, the groups that it is to be filled in, each with its epoch; want a look at others."""
        chosen: dict[ServerId, dict[GroupId, int]] = {}
        suspects: set[GroupId] = set()
        for server_id, short in sorted(lacking.items()):
            for group_id in short:
                group = groups.by_id.get(group_id)
                if group is None:
                    continue
                others = [each for each in group.members if each != server_id and each not in group.filling]
                is_new = (group_id, server_id) not in self._filled
                if is_new and (not others or any(holdings.is_sound(each, group) for each in others)):
                    chosen.setdefault(server_id, {})[group_id] = group.epoch
                    continue
                suspects.add(group_id)
                is_awaited = any(_may_report(each, group, states, lacking) for each in others)
                self._suspect(group_id, now_s, is_awaited=is_new and is_awaited)
        self._suspects = {group_id: each for group_id, each in self._suspects.items() if group_id in suspects}
        return chosen

    def filled(self, groups: Iterable[PlacedGroup], servers: Mapping[ServerId, Mapping[GroupId, int]]) -> None:
        """Take note of groups in which members are being filled again."""
        for group in groups:
            self._filled |= {
                (group.group_id, each) for each in group.filling if group.group_id in servers.get(each, ())
            }

    def _suspect(self, group_id: GroupId, now_s: float, *, is_awaited: bool) -> None:
        suspect = self._suspects.setdefault(group_id, _Suspect(now_s))
        if is_awaited and now_s - suspect.since_s < PATIENCE_S:
            return
        if suspect.looked_s is None or now_s - suspect.looked_s >= PATIENCE_S:
            suspect.looked_s = now_s
            self.wanted.add(group_id)


def _may_report(
    server_id: ServerId,
    group: PlacedGroup,
    states: Mapping[ServerId, ServerState],
    lacking: Mapping[ServerId, Iterable[GroupId]],
) -> bool:
    """Whether a member is there, and may turn out to hold everything."""
    state = states.get(server_id)
    return state is not None and state.is_readable and group.group_id not in set(lacking.get(server_id, ()))
