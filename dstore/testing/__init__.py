"""A real dstore cluster for the tests of other programs.

    with LocalCluster() as cluster, cluster.connect() as client:
        client.put("/greeting", b"hello")

For pytest there are the fixtures of ``dstore.testing.plugin``, which come with dstore; docs/testing-with-dstore.md
describes both. What is heavy is imported when a cluster is made: pytest loads the plug-in for everybody.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dstore.testing.local_cluster import LocalCluster

__all__ = ["LocalCluster"]


def __getattr__(name: str) -> Any:
    if name != "LocalCluster":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dstore.testing.local_cluster import LocalCluster

    return LocalCluster


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
