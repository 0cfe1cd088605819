"""What real servers tell Prometheus: all of it is explained, and whatever is looked at exists."""

import re
import urllib.request
from pathlib import Path

import pytest
from cluster import LocalTestCluster, wait_until
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parents[2]
#: ``M`` in the documents is the master, ``C`` a chunkserver; the side port of a server is 100 above its own.
PORT_OF_ROLE = {"M": 100, "C": 101}


def scraped(cluster: LocalTestCluster, role: str) -> str:
    url = f"http://127.0.0.1:{cluster.port + PORT_OF_ROLE[role]}/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:
        text: str = answer.read().decode()
    return text


@pytest.fixture(scope="module")
def metrics(small_chunks_cluster: LocalTestCluster) -> dict[str, str]:
    """What both kinds of servers tell after a file was written, read over the network, and the master looked."""
    cluster = small_chunks_cluster
    cluster.check("put", "-", "/some", stdin=b"x" * 3_000_000)
    cluster.environ["DSTORE_LOCAL_READS"] = "off"
    assert len(cluster.check("cat", "/some")) == 3_000_000
    wait_until(
        lambda: 'dstore_chunks{state="healthy"} 3.0' in scraped(cluster, "M"), what="the master counts", timeout_s=60
    )
    return {role: scraped(cluster, role) for role in PORT_OF_ROLE}


def families(text: str) -> dict[str, str]:
    """Return the help text of every metric, by its name in the text; the times of creation belong to others."""
    helps = dict(re.findall(r"^# HELP (\S+) ?(.*)$", text, re.MULTILINE))
    types = dict(re.findall(r"^# TYPE (\S+) (.*)$", text, re.MULTILINE))
    assert helps.keys() == types.keys()
    return {name: help_text for name, help_text in helps.items() if not name.endswith("_created")}


def documented(role: str) -> set[str]:
    """Return the metrics that the document lists for a role."""
    rows = re.findall(r"^\| (`[^|]*`) \| ([MC ]+) \|", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE)
    assert rows
    return {name for names, roles in rows if role in roles for name in re.findall(r"`(\w+)`", names)}


@pytest.mark.parametrize("role", PORT_OF_ROLE)
def test_every_metric_has_a_help_text_and_a_row_in_the_document(metrics: dict[str, str], role: str) -> None:
    found = families(metrics[role])
    assert [name for name, help_text in found.items() if len(help_text) < 5] == []
    assert documented(role) - found.keys() == set(), "in the document, not exported"
    assert found.keys() - documented(role) == set(), "exported, not in the document"


@pytest.mark.parametrize("role", PORT_OF_ROLE)
def test_labels_are_those_of_the_document(metrics: dict[str, str], role: str) -> None:
    bounded = {"version", "role", "code", "state", "node", "op", "reason", "kind", "le"}
    bounded |= {"grpc_type", "grpc_service", "grpc_method", "grpc_code"}
    samples = [each for family in text_string_to_metric_families(metrics[role]) for each in family.samples]
    assert {label for sample in samples for label in sample.labels} <= bounded
    assert not any("/some" in value for sample in samples for value in sample.labels.values())


def test_calls_commits_and_operations_are_measured(metrics: dict[str, str]) -> None:
    write = 'grpc_type="client_stream"'
    for role, pattern in (
        ("M", r'grpc_server_handled_total\{grpc_code="OK",grpc_method="CommitWrite",.*\} [1-9]'),
        ("M", r'grpc_server_handling_seconds_count\{grpc_method="Heartbeat",.*\} [1-9]'),
        ("M", r"dstore_metadata_commit_duration_seconds_count [1-9]"),
        ("M", r"dstore_event_loop_lag_seconds_count [1-9]"),
        ("M", r'dstore_node_up\{node="cs-3"\} 1.0'),
        ("M", r"dstore_master_leading 1.0"),
        ("C", rf'grpc_server_started_total\{{grpc_method="WriteChunk",.*{write}\}} [1-9]'),
        ("C", r'dstore_chunk_operation_duration_seconds_count\{op="write"\} [1-9]'),
        ("C", r"dstore_event_loop_lag_seconds_count [1-9]"),
        ("C", r"dstore_disk_capacity_bytes [1-9]"),
    ):
        assert re.search(f"^{pattern}", metrics[role], re.MULTILINE), pattern
