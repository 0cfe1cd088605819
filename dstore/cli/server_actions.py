"""``dstore master run`` and ``dstore chunkserver run``: from arguments to the configuration of a server."""

import socket
from pathlib import Path

from dstore.cli.bringing_up import check_server_extra
from dstore.core.sizes import parse_size


def run_master(
    *,
    directory: Path,
    listen: str,
    http_listen: str,
    replicas: int,
    min_replicas: int,
    chunk_size: str,
    failure_domain: str,
    log_level: str,
) -> int:
    """Serve until SIGTERM or SIGINT."""
    check_server_extra()
    from dstore.master.__main__ import run
    from dstore.master.config import MasterConfig

    return run(
        MasterConfig(
            directory=directory.absolute(),
            listen=listen,
            http_listen=http_listen,
            replicas=replicas,
            min_replicas=min_replicas,
            chunk_size_bytes=parse_size(chunk_size),
            failure_domain=failure_domain,
            log_level=log_level,
        )
    )


def run_chunkserver(
    *,
    directory: Path,
    listen: str,
    advertise: str | None,
    http_listen: str,
    master: str,
    name: str,
    host_label: str | None,
    rack: str,
    log_level: str,
) -> int:
    """Serve until SIGTERM or SIGINT."""
    check_server_extra()
    from dstore.chunkserver.__main__ import run
    from dstore.chunkserver.config import ChunkserverConfig

    return run(
        ChunkserverConfig(
            directory=directory.absolute(),
            listen=listen,
            advertise=advertise,
            http_listen=http_listen,
            master=master,
            name=name,
            host=host_label or socket.gethostname(),
            rack=rack,
            log_level=log_level,
        )
    )
