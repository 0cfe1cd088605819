"""What is told of the gateway and of its cluster: for people who look at the page, for probes and for Prometheus."""

from starlette.responses import Response

from dstore import __version__
from dstore.core.errors import DstoreError
from dstore.gateway.answers import JsonResponse
from dstore.gateway.cluster_view import cluster_value
from dstore.gateway.exchange import Call


async def show_cluster(call: Call) -> Response:
    """Tell the state of the cluster."""
    return JsonResponse(cluster_value(await call.gateway.view.status()))


async def show_metrics(call: Call) -> Response:
    """Send what Prometheus asks for."""
    return Response(call.gateway.metrics.text(), media_type="text/plain; version=0.0.4")


async def show_gateway(call: Call) -> Response:
    """Tell of this gateway: who asks and may do what, which keys it has, and what went through it."""
    metrics, identity = call.gateway.metrics, call.exchange.identity
    keys: tuple[bytes, ...] = ()
    problem = None
    try:
        keys = await call.client.key_ids()
    except DstoreError as error:
        problem = error.message
    totals = metrics.totals
    return JsonResponse(
        {
            "version": __version__,
            "identity": {"name": identity.name, "rights": sorted(right.value for right in identity.rights)},
            "keys": [{"id": key_id.hex(), "is_active": index == 0} for index, key_id in enumerate(keys)],
            "key_problem": problem,
            "upload_size_bytes_max": call.gateway.upload_size_bytes_max,
            "uptime_s": metrics.uptime_s,
            "requests_in_progress": metrics.request_count,
            "requests": totals.requests,
            "failures": totals.failures,
            "received_bytes": totals.received_bytes,
            "sent_bytes": totals.sent_bytes,
        }
    )


async def show_readiness(call: Call) -> Response:
    """Say whether work should be sent here: 503 unless the cluster answers and the keys can be used."""
    checks = {"cluster": "ok", "key": "ok"}
    try:
        await call.gateway.view.status()
    except DstoreError as error:
        checks["cluster"] = error.reason
    try:
        await call.client.key_ids()
    except DstoreError as error:
        # Everybody may ask this, and the message names files of this machine.
        checks["key"] = error.reason
    is_ready = set(checks.values()) == {"ok"}
    token_file = call.gateway.token_file
    if token_file is not None:
        # Worth somebody's look; the work goes on with the tokens that were read before.
        checks["tokens"] = token_file.problem or "ok"
    return JsonResponse({"ready": is_ready, "checks": checks}, 200 if is_ready else 503)
