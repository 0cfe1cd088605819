"""Says whether a server can be away for a while; pure."""

from collections.abc import Iterable

from dstore.core.files import Policy
from dstore.core.groups import Duty
from dstore.core.ids import ServerId
from dstore.master.triage import Scene
from dstore.master.views import PlannedGroup, PlannedServer

#: Groups and servers that are named one by one.
_NAMED_MAX = 5


def check_stoppable(
    server_id: ServerId, servers: Iterable[PlannedServer], groups: Iterable[PlannedGroup], policy: Policy
) -> str | None:
    """Return why files could not be read if a server were stopped now; None when all of them could.

    Other servers in maintenance may be stopped at any moment, and so do not count. One that is not up has nobody to
    miss it.
    """
    scene = Scene(servers, policy)
    server = scene.servers[server_id]
    if not server.is_up:
        return None
    absent = {each.server_id for each in scene.servers.values() if each.duty is Duty.MAINTENANCE} | {server_id}
    sole = [
        group
        for group in groups
        if group.chunk_count
        and any(member.server_id == server_id for member in group.members)
        and not scene.good_members(group) - absent
    ]
    if not sole:
        return None
    others = sorted(scene.servers[each].name for each in absent - {server_id})
    advice = (
        f"end the maintenance of {', '.join(others[:_NAMED_MAX])} first"
        if others
        else f"wait until others have copies (dstore status shows it), or run `dstore node drain {server.name}`"
    )
    numbers = ", ".join(str(group.group_id) for group in sole[:_NAMED_MAX])
    more = f" and {len(sole) - _NAMED_MAX} more" if len(sole) > _NAMED_MAX else ""
    which = f"{len(sole)} placement group{'' if len(sole) == 1 else 's'} ({numbers}{more})"
    return (
        f"{server.name} cannot be away: nobody else could be asked for what is in {which}, so that files could not be "
        f"read; {advice}."
    )
