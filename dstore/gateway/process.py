"""The gateway as a process: joins the parts, starts them in order, stops them in reverse."""

import asyncio
import contextlib
import json
import logging
import os
import sys

from dstore.client.connect import connect_async
from dstore.gateway.config import GatewayConfig
from dstore.gateway.exchange import make_gateway
from dstore.gateway.hosts import host_rule
from dstore.gateway.limits import PATIENCE_S
from dstore.gateway.routes import make_application
from dstore.gateway.server import HttpServer
from dstore.gateway.token_file import TokenFile
from dstore.system.environment import SystemClock, SystemRandom
from dstore.system.lock import DirectoryLock
from dstore.system.logs import setup_logging
from dstore.system.process import run_server
from dstore.system.process_metrics import ProcessMetrics
from dstore.system.telemetry import start_exporting

_log = logging.getLogger("dstore.gateway")


def run(config: GatewayConfig) -> None:
    """Run a gateway until SIGTERM or SIGINT.

    Raises:
        DstoreError: it cannot start.
    """
    setup_logging(config.log_level, config.log_format, role="gateway", node=config.listen)
    stop_tracing = start_exporting(os.environ, role="gateway", node=config.listen)
    try:
        run_server(lambda stopping: serve(config, stopping))
    finally:
        stop_tracing()


async def serve(config: GatewayConfig, stopping: asyncio.Event) -> None:
    """Serve until ``stopping`` is set.

    Raises:
        DstoreError: as ``run``; also when the master cannot be reached, or the keys cannot be loaded.
    """
    config.check()
    token_file = None if config.tokens_file is None else TokenFile(config.tokens_file)
    clock, random = SystemClock(), SystemRandom()
    client = connect_async(config.endpoint, profile=config.profile, key_file=config.key_file, patience_s=PATIENCE_S)
    async with contextlib.AsyncExitStack() as stack:
        if config.directory is not None:
            config.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = DirectoryLock(config.directory, what="gateway")
            lock.acquire()
            stack.callback(lock.release)
        await stack.enter_async_context(client)
        # Without its keys it could do nothing: better said to whoever starts it than to whoever uses it.
        await client.key_ids()
        gateway = make_gateway(
            client,
            clock=clock,
            random=random,
            upload_size_bytes_max=config.upload_size_bytes_max,
            token_file=token_file,
        )
        stack.push_async_callback(gateway.view.close)
        measuring = asyncio.create_task(ProcessMetrics(gateway.metrics.registry, clock).run(), name="process-metrics")
        stack.callback(measuring.cancel)
        if token_file is not None:
            watching = asyncio.create_task(token_file.watch(), name="token-file")
            stack.callback(watching.cancel)
        application = make_application(
            gateway,
            None if token_file is None else token_file.identities,
            host_rule(config.host, config.allowed_hosts, has_tokens=token_file is not None),
            clock=clock,
            random=random,
        )
        files = config.certificate_file, config.certificate_key_file
        server = HttpServer(
            application,
            host=config.host,
            port=config.port,
            certificate=(files[0], files[1]) if files[0] is not None and files[1] is not None else None,
        )
        address = await server.start()
        stack.push_async_callback(server.stop)
        _announce(config, address)
        await stopping.wait()


def _announce(config: GatewayConfig, address: str) -> None:
    for warning in config.warnings():
        _log.warning("%s", warning)
    scheme = "http" if config.certificate_file is None else "https"
    ready = {
        "event": "ready",
        "role": "gateway",
        "address": address,
        "url": f"{scheme}://{address}",
        "warnings": config.warnings(),
        "pid": os.getpid(),
    }
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
