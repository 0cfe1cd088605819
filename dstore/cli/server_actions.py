"""``dstore master run`` and ``dstore chunkserver run``: from arguments to the configuration of a server."""

import os
import socket
from math import ceil
from pathlib import Path

from dstore.cli.extras import check_server_extra
from dstore.cli.log_settings import log_format_of, log_level_of
from dstore.cli.quantities import parse_duration
from dstore.core.local_reads import LocalReads
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
    retention: str,
    out_after: str,
    scrub_period: str,
    copy_rate: str,
    trash_delay: str,
    collection_grace: str,
    audit_period: str,
    log_level: str | None,
    log_format: str | None,
) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        DstoreError: the server cannot start or go on.
    """
    check_server_extra()
    from dstore.master.config import MasterConfig, UpkeepConfig
    from dstore.master.process import run

    run(
        MasterConfig(
            directory=directory.absolute(),
            listen=listen,
            http_listen=http_listen,
            replicas=replicas,
            min_replicas=min_replicas,
            chunk_size_bytes=parse_size(chunk_size),
            failure_domain=failure_domain,
            upkeep=UpkeepConfig(
                out_after_s=parse_duration(out_after),
                scrub_period_s=parse_duration(scrub_period),
                copy_bytes_per_s=parse_size(copy_rate),
                trash_delay_s=parse_duration(trash_delay),
                collection_grace_s=ceil(parse_duration(collection_grace)),
                drop_grace_s=parse_duration(collection_grace),
                audit_period_s=parse_duration(audit_period),
            ),
            log_level=log_level_of(log_level, os.environ),
            log_format=log_format_of(log_format, os.environ),
            retention_s=ceil(parse_duration(retention)),
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
    local_reads: str,
    log_level: str | None,
    log_format: str | None,
) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        DstoreError: the server cannot start or go on.
    """
    check_server_extra()
    from dstore.chunkserver.config import ChunkserverConfig
    from dstore.chunkserver.process import run

    run(
        ChunkserverConfig(
            directory=directory.absolute(),
            listen=listen,
            advertise=advertise,
            http_listen=http_listen,
            master=master,
            name=name,
            host=host_label or socket.gethostname(),
            rack=rack,
            local_reads=LocalReads(local_reads),
            log_level=log_level_of(log_level, os.environ),
            log_format=log_format_of(log_format, os.environ),
        )
    )
