"""Which ports a cluster on this machine uses, and whether they are free.

Ports follow from one number P: the master has P, chunkserver i has P + i, and the side port of each is 100
higher; a gateway has P + 1000. A taken port is an error and never a reason to move: a command that reaches
another cluster than the user thinks is worse than one that stops.
"""

import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dstore.core.errors import InvalidRequest, Unavailable

PORT_DEFAULT = 7070
#: From the port of a server to its side port; so there is room for 99 chunkservers.
SIDE_PORT_OFFSET = 100
CHUNKSERVERS_MAX = SIDE_PORT_OFFSET - 1
GATEWAY_PORT_OFFSET = 1000
_LISTENING = "0A"


@dataclass(frozen=True, slots=True)
class ServerPorts:
    """The two ports of one server."""

    name: str
    port: int
    http_port: int


def plan_ports(port: int, chunkservers: int) -> tuple[ServerPorts, ...]:
    """Return the ports of the master and of ``cs-1`` … ``cs-N``, in this order.

    Raises:
        InvalidRequest: with reason CHUNKSERVERS_INVALID or PORT_INVALID when they do not fit.
    """
    if not 1 <= chunkservers <= CHUNKSERVERS_MAX:
        raise InvalidRequest(
            f"A cluster on this machine can have 1 to {CHUNKSERVERS_MAX} chunkservers, not {chunkservers}; "
            "change --chunkservers.",
            reason="CHUNKSERVERS_INVALID",
            metadata={"chunkservers": str(chunkservers)},
        )
    last = 65_535 - SIDE_PORT_OFFSET - chunkservers
    if not 1 <= port <= last:
        raise InvalidRequest(
            f"Port {port} leaves no room for the cluster's other ports; choose --port between 1 and {last}.",
            reason="PORT_INVALID",
            metadata={"port": str(port)},
        )
    names = ("master", *(f"cs-{number}" for number in range(1, chunkservers + 1)))
    return tuple(
        ServerPorts(name, port + number, port + SIDE_PORT_OFFSET + number) for number, name in enumerate(names)
    )


def plan_gateway_port(port: int) -> int:
    """Return the port of the gateway.

    Raises:
        InvalidRequest: with reason PORT_INVALID when there is none.
    """
    last = 65_535 - GATEWAY_PORT_OFFSET
    if port > last:
        raise InvalidRequest(
            f"Port {port} leaves no room for that of the gateway, which is {GATEWAY_PORT_OFFSET} higher; choose --port "
            f"between 1 and {last}.",
            reason="PORT_INVALID",
            metadata={"port": str(port)},
        )
    return port + GATEWAY_PORT_OFFSET


def check_ports(wanted: Iterable[ServerPorts]) -> None:
    """Return when nobody listens on any of these loopback ports.

    Raises:
        Unavailable: with reason ADDRESS_IN_USE; names the first port that is taken, and its holder if visible.
    """
    for server in wanted:
        for port in (server.port, server.http_port):
            if is_taken(port):
                raise _taken(server.name, port)


def is_taken(port: int) -> bool:
    """Return whether somebody listens on this loopback port.

    Raises:
        OSError: when nobody does and this user still may not, as on ports below 1024.
    """
    with socket.socket() as probe:
        # As servers do: connections that just ended must not count as somebody who holds the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return True
    return False


def _taken(name: str, port: int) -> Unavailable:
    holder = port_holder(port)
    who = f"by {holder}" if holder else "by another process (`ss -ltnp` shows which, as root)"
    return Unavailable(
        f"Port {port}, meant for {name}, is taken {who}. Stop that process (if it is another dstore cluster: "
        "`dstore down --dir` with its directory), or choose other ports with --port.",
        reason="ADDRESS_IN_USE",
        metadata={"port": str(port), "server": name, "holder": holder or ""},
    )


def port_holder(port: int, *, proc: Path = Path("/proc")) -> str | None:
    """Return ``"python3 (pid 42)"`` for the process that listens on ``port``; None when it cannot be seen."""
    sockets: set[str] = set()
    for table in ("tcp", "tcp6"):
        try:
            sockets |= listening_sockets((proc / "net" / table).read_text(), port)
        except OSError:
            continue
    targets = {f"socket:[{inode}]" for inode in sockets}
    for process in proc.glob("[0-9]*") if targets else ():
        try:
            if any(str(link.readlink()) in targets for link in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
        except OSError:
            # Processes end while this looks at them, and those of other users do not show their files.
            continue
    return None


def listening_sockets(table: str, port: int) -> set[str]:
    """Return the inodes of the sockets that listen on ``port``, from the text of ``/proc/net/tcp``."""
    inodes = set()
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) > 9 and columns[3] == _LISTENING and int(columns[1].rsplit(":", 1)[1], 16) == port:
            inodes.add(columns[9])
    return inodes
