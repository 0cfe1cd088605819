"""What operators must not do, or can do no more, is refused with a sentence that says what, why and what to do."""

import json
from collections.abc import Iterator

import pytest
from clear_errors import check_logs, check_sentence, refused
from cluster import LocalTestCluster, wait_until
from large_files import client_of

MIB = 1024 * 1024
CONTENT = bytes(range(256)) * (3 * 4096)
NAMES = ("cs-1", "cs-2", "cs-3")


class ForgettingCluster(LocalTestCluster):
    """Keeps nothing that was removed."""

    def up_arguments(self) -> list[str]:
        return [*super().up_arguments(), "--retention", "0s"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTestCluster]:
    cluster = ForgettingCluster(tmp_path_factory.mktemp("refusing"), chunk_size_bytes=MIB)
    try:
        cluster.start()
        with client_of(cluster) as client:
            client.put("/kept", CONTENT)
        yield cluster
    finally:
        cluster.stop()


def servers(cluster: LocalTestCluster) -> dict[str, dict[str, object]]:
    lines = [json.loads(line) for line in cluster.check("node", "list", "--json").splitlines()]
    return {line["name"]: line for line in lines if line["role"] == "chunkserver"}


def check_text(cluster: LocalTestCluster, sentence: str, *arguments: str) -> None:
    """The same refusal, as people see it without ``--json``."""
    finished = cluster.run(*arguments)
    assert finished.returncode != 0
    assert finished.stdout == b""
    assert sentence in " ".join(finished.stderr.decode().split())


def test_a_server_that_is_not_drained_is_not_removed(cluster: LocalTestCluster) -> None:
    before = servers(cluster)
    error = refused(cluster, "node", "remove", "cs-2", reason="NODE_IN_USE", code=69)
    assert f"cs-2 is still a member of {before['cs-2']['group_count']} placement groups" in error["message"]
    assert "removing it would cost copies; run `dstore node drain cs-2`, and wait for it." in error["message"]
    check_text(cluster, error["message"], "node", "remove", "cs-2")
    assert set(servers(cluster)) == set(NAMES)
    assert cluster.pid("cs-2") is not None, "it goes on"
    assert cluster.check_json("status")["health"] == "HEALTH_OK"


def test_what_is_past_its_retention_is_not_restored(cluster: LocalTestCluster) -> None:
    with client_of(cluster) as client:
        first = client.put("/gone", CONTENT)
        client.put("/gone", b"second")
        client.remove("/gone")
        wait_until(lambda: client.status().retained_file_count == 0, what="the retention is over", timeout_s=20)
    assert cluster.check("trash") == b""
    for arguments in (("/gone",), ("/gone", "--version", str(first.version)), ("/gone", "--to", "/elsewhere")):
        error = refused(cluster, "restore", *arguments, reason="NOT_RESTORABLE", code=10)
        assert "/gone cannot be restored: its retention is over, or it was never there." in error["message"]
        assert "`dstore trash` lists what can be." in error["message"]
        check_text(cluster, error["message"], "restore", *arguments)
    with client_of(cluster) as client:
        assert [info.name for info in client.list("/")] == ["kept"]


def test_the_last_holder_of_data_is_not_drained(cluster: LocalTestCluster) -> None:
    for name in ("cs-2", "cs-3"):
        cluster.kill(name)
    with client_of(cluster) as client:
        wait_until(lambda: client.status().servers_up == 1, what="two are missed", timeout_s=20)
        for arguments in (("cs-1",), ("cs-1", "--dry-run"), ("cs-1", "--wait")):
            error = refused(cluster, "node", "drain", *arguments, reason="DRAIN_REFUSED", code=69)
            assert "cs-1 cannot be drained now: it holds the only good copy of" in error["message"]
            assert "Start or add chunkservers, wait until they have copies as well" in error["message"]
        check_text(cluster, error["message"], "node", "drain", "cs-1")
        # Nor can it be taken out in other ways.
        refused(cluster, "node", "remove", "cs-1", reason="NODE_IN_USE", code=69)
        error = refused(cluster, "node", "maintenance", "cs-1", reason="MAINTENANCE_REFUSED", code=69)
        check_sentence(error["message"])
        assert {each["duty"] for each in servers(cluster).values()} == {"active"}
        assert client.get("/kept") == CONTENT
        for name in ("cs-2", "cs-3"):
            cluster.start_node(name)
        wait_until(lambda: client.status().health.value == "HEALTH_OK", what="all is well", timeout_s=60)
    check_logs(cluster)
