"""``/v1/removed``: what was removed or replaced, and how it comes back."""

from starlette.responses import Response

from dstore.core.errors import InvalidRequest
from dstore.core.ids import Version
from dstore.core.removed import RemovedFile
from dstore.gateway.answers import JsonResponse, info_value
from dstore.gateway.conditions import iso_date
from dstore.gateway.exchange import Call
from dstore.gateway.queries import flag_of, page_size_of
from dstore.gateway.targets import location, store_path

_VERSION_MAX = (1 << 63) - 1


async def list_removed(call: Call) -> Response:
    """List one page of what can be restored at or below a path, oldest removal first.

    Raises:
        InvalidRequest: reason ``LIMIT_INVALID``, ``QUERY_INVALID`` or ``PAGE_TOKEN_INVALID``.
        DstoreError: as ``AsyncClient.list_removed_page``.
    """
    path, query = store_path(call.rest), call.request.query_params
    page = await call.client.list_removed_page(
        path,
        recursive=flag_of(query, "recursive"),
        page_size=page_size_of(query),
        page_token=query.get("cursor", ""),
    )
    value = {"path": path, "removed": [removed_value(entry) for entry in page.entries]}
    return JsonResponse(value | {"next_cursor": page.next_page_token or None})


async def restore_path(call: Call) -> Response:
    """Bring back a file, or a directory with all that was removed with it: ``{"to": PATH, "version": NUMBER}``.

    Raises:
        InvalidRequest: reason ``RESTORE_INVALID``.
        DstoreError: as ``AsyncClient.restore``.
    """
    path = store_path(call.rest)
    wish = await call.body().read_json()
    target, version = wish.get("to"), wish.get("version")
    if (
        set(wish) - {"to", "version"}
        or not isinstance(target, str | None)
        or not (version is None or (type(version) is int and 1 <= version <= _VERSION_MAX))
    ):
        raise InvalidRequest(
            'The body has to be {}, with "to": "/another/path" to restore to there, and "version": NUMBER to restore '
            "another one than the one that was removed last.",
            reason="RESTORE_INVALID",
        )
    result = await call.client.restore(path, to=target, version=None if version is None else Version(version))
    value = {"restored": info_value(result.info), "files": result.files, "directories": result.directories}
    return JsonResponse(value, 200, {"Location": location(result.info.path)})


def removed_value(entry: RemovedFile) -> dict[str, object]:
    """Return what JSON says of something that can be restored."""
    return {
        "path": entry.path,
        "name": entry.path.rpartition("/")[2],
        "kind": entry.kind.value,
        "size_bytes": entry.size_bytes,
        "version": entry.version,
        "reason": entry.reason.value,
        "removed": iso_date(entry.removed_ns),
        "expires_in_s": entry.expires_in_s,
    }
