"""What a chunkserver is started with."""

import re
from dataclasses import dataclass
from pathlib import Path

from dstore.core.errors import InvalidRequest
from dstore.core.limits import SERVER_NAME_SIZE_MAX
from dstore.core.local_reads import LocalReads

_NAME = re.compile(rf"[A-Za-z0-9._-]{{1,{SERVER_NAME_SIZE_MAX}}}")
_ADDRESS = re.compile(r".+:[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class ChunkserverConfig:
    """All settings of one chunkserver.

    Attributes:
        directory: for chunks; made when it does not exist, used by one process at a time.
        listen: host and port for gRPC; port 0 takes a free one.
        advertise: host and port under which clients and peers reach it; None for the bound address.
        http_listen: host and port for metrics and probes; port 0 takes a free one.
        master: host and port of the master.
        name: for people, unique in the cluster.
        host: label of the machine, so that replicas are spread over machines.
        rack: label of the rack; empty when unknown.
        local_reads: who on the same machine gets open chunk files.
        log_level: "debug", "info", "warning" or "error".
        log_format: "json", "text" or "auto".
    """

    directory: Path
    listen: str
    advertise: str | None
    http_listen: str
    master: str
    name: str
    host: str
    rack: str
    log_level: str
    local_reads: LocalReads = LocalReads.OWN
    log_format: str = "auto"

    def check(self) -> None:
        """Refuse what cannot work.

        Raises:
            InvalidRequest: reason ``CONFIG_INVALID``, naming the setting.
        """
        if not _NAME.fullmatch(self.name):
            raise _invalid("--name", self.name, f"must be 1 to {SERVER_NAME_SIZE_MAX} letters, digits, '-', '_' or '.'")
        addresses = {
            "--listen": self.listen,
            "--http-listen": self.http_listen,
            "--master": self.master,
            "--advertise": self.listen if self.advertise is None else self.advertise,
        }
        for flag, address in addresses.items():
            if not _ADDRESS.fullmatch(address) or int(address.rpartition(":")[2]) > 65535:
                raise _invalid(flag, address, "must be HOST:PORT")


def _invalid(flag: str, value: str, rule: str) -> InvalidRequest:
    return InvalidRequest(f"{flag} {value!r} {rule}.", reason="CONFIG_INVALID", metadata={"flag": flag})
