"""The part of the OpenAPI document about the gateway and its cluster: state, figures, probes and pages."""

from dstore.gateway.openapi_parts import Object, json_answer, object_schema, operation, parameter, reference

_TEXT: Object = {"type": "string"}
_COUNT: Object = {"type": "integer", "minimum": 0}
_SECONDS: Object = {"type": "number"}
_SECONDS_OR_NULL: Object = {"type": ["number", "null"]}


def overview_paths() -> Object:
    """Return the paths."""
    document = {"200": {"description": "OpenAPI 3.1.", "content": {"application/json": {"schema": {"type": "object"}}}}}
    page = _answer("HTML.", "text/html")
    return {
        "/v1/cluster": {
            "get": operation(
                "cluster",
                "Ask how the cluster is: health with reasons and what helps, nodes, groups, chunks, rates.",
                {"200": json_answer("A moment ago.", "Cluster")},
            )
        },
        "/v1/gateway": {
            "get": operation(
                "gateway",
                "Ask who the token is, which keys the gateway has (ids, never keys), and what went through it.",
                {"200": json_answer("Now.", "Gateway")},
            )
        },
        "/": {"get": operation("page", "See and use all of this in a browser.", page, is_open=True)},
        "/page/{name}": {
            "parameters": [reference("parameters", "Part")],
            "get": operation("pagePart", "Get a part of the page.", _answer("It.", "*/*"), errors="404", is_open=True),
        },
        "/metrics": {
            "get": operation(
                "metrics", "Get the figures for Prometheus; needs the right metrics.", _answer("Text.", "text/plain")
            )
        },
        "/healthz": {
            "get": operation(
                "health", "Ask whether the gateway answers.", {"200": json_answer("It does.", "Health")}, is_open=True
            )
        },
        "/readyz": {
            "get": operation(
                "ready",
                "Ask whether the gateway can do its work.",
                {"200": json_answer("It can.", "Readiness"), "503": json_answer("It cannot.", "Readiness")},
                is_open=True,
            )
        },
        "/openapi.json": {"get": operation("openapi", "Get this document.", document, is_open=True)},
        "/docs": {"get": operation("docs", "Read this document.", page, is_open=True)},
    }


def overview_parameters() -> Object:
    """Return the parameters that the paths name."""
    return {"Part": parameter("name", "path", "Of a file of the page.", _TEXT | {"examples": ["style.css"]})}


def overview_schemas() -> Object:
    """Return the schemas that the paths name."""
    checks = {
        "type": "object",
        "description": "For each, ok or the reason of the error.",
        "additionalProperties": _TEXT,
    }
    rates = ("read_bytes_per_s", "write_bytes_per_s", "copied_bytes_per_s", "scrubbed_bytes_per_s")
    return {
        "Health": object_schema({"status": _TEXT}),
        "Readiness": object_schema({"ready": {"type": "boolean"}, "checks": checks}),
        "Gateway": _gateway(),
        "Cluster": _cluster(),
        "Check": object_schema(
            {
                "code": _TEXT,
                "severity": {"enum": ["HEALTH_WARN", "HEALTH_ERR"]},
                "message": _TEXT,
                "command": _TEXT | {"description": "What helps; may be empty."},
            }
        ),
        "Node": _node(),
        "Traffic": object_schema(dict.fromkeys(rates, _COUNT)),
    }


def _gateway() -> Object:
    key = object_schema({"id": _TEXT, "is_active": {"type": "boolean"}})
    identity = object_schema({"name": _TEXT, "rights": {"type": "array", "items": _TEXT}})
    return object_schema(
        {
            "version": _TEXT,
            "identity": identity,
            "keys": {"type": "array", "items": key},
            "key_problem": {"type": ["string", "null"]},
            "upload_size_bytes_max": {"type": ["integer", "null"]},
            "uptime_s": _SECONDS,
            "requests_in_progress": _COUNT,
            "requests": _COUNT,
            "failures": _COUNT,
            "received_bytes": _COUNT,
            "sent_bytes": _COUNT,
        }
    )


def _cluster() -> Object:
    states = dict.fromkeys(("whole", "filling", "degraded", "unavailable"), _COUNT)
    repair = {"filling_copies": _COUNT, "left_bytes": _COUNT, "bytes_per_s": _COUNT, "left_s": _SECONDS_OR_NULL}
    counts = """nodes_up nodes_total groups files directories chunks under_replicated_chunks unavailable_chunks
        deleted_chunks trashed_copies unsynced_copies logical_bytes stored_bytes retained_files retained_bytes
        writes_in_progress total_bytes used_bytes replicas chunk_size_bytes retention_s"""
    return object_schema(
        {
            "cluster_id": _TEXT,
            "version": _TEXT,
            "time": {"type": ["string", "null"]},
            "health": {"enum": ["HEALTH_OK", "HEALTH_WARN", "HEALTH_ERR"]},
            "summary": _TEXT,
            "checks": {"type": "array", "items": reference("schemas", "Check")},
            "nodes": {"type": "array", "items": reference("schemas", "Node")},
            "group_states": object_schema(states),
            "traffic": reference("schemas", "Traffic"),
            "repair": object_schema(repair),
        }
        | dict.fromkeys(counts.split(), _COUNT)
    )


def _node() -> Object:
    counts = """total_bytes used_bytes chunks missing_chunks corrupt_chunks unsynced_chunks groups groups_led
        filling_groups"""
    return object_schema(
        dict.fromkeys(("name", "address", "host", "rack", "version"), _TEXT)
        | {
            "phase": {"enum": ["up", "suspect", "down", "out"]},
            "duty": {"enum": ["active", "draining", "maintenance"]},
            "heard_s_ago": _SECONDS_OR_NULL,
            "probe_latency_s": _SECONDS,
            "scrub_position": _SECONDS,
            "scrub_age_s": _SECONDS_OR_NULL,
            "traffic": reference("schemas", "Traffic"),
        }
        | dict.fromkeys(counts.split(), _COUNT)
    )


def _answer(description: str, kind: str) -> Object:
    return {"200": {"description": description, "content": {kind: {"schema": {"type": "string"}}}}}
