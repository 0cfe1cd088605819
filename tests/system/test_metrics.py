"""What real servers tell Prometheus: all of it is explained, and whatever is looked at exists."""

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cluster import LocalTestCluster, wait_until
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parents[2]
#: ``M`` in the documents is the master, ``C`` a chunkserver; the side port of a server is 100 above its own.
PORT_OF_ROLE = {"M": 100, "C": 101}
#: ``G`` is a gateway.
ROLES = (*PORT_OF_ROLE, "G")


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
    return {role: scraped(cluster, role) for role in PORT_OF_ROLE} | {"G": scraped_gateway(cluster)}


def scraped_gateway(cluster: LocalTestCluster) -> str:
    """Return what a gateway tells after one request."""
    command = [sys.executable, "-m", "dstore", "gateway", "run", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, env=cluster.environ, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            with urllib.request.urlopen(f"{url}/v1/files/some", timeout=30) as answer:
                assert len(answer.read()) == 3_000_000
            with urllib.request.urlopen(f"{url}/metrics", timeout=30) as answer:
                text: str = answer.read().decode()
            return text
        finally:
            process.terminate()


def families(text: str) -> dict[str, str]:
    """Return the help text of every metric, by its name in the text; the times of creation belong to others."""
    helps = dict(re.findall(r"^# HELP (\S+) ?(.*)$", text, re.MULTILINE))
    types = dict(re.findall(r"^# TYPE (\S+) (.*)$", text, re.MULTILINE))
    assert helps.keys() == types.keys()
    return {name: help_text for name, help_text in helps.items() if not name.endswith("_created")}


def documented(role: str) -> set[str]:
    """Return the metrics that the document lists for a role."""
    rows = re.findall(r"^\| (`[^|]*`) \| ([MCG ]+) \|", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE)
    assert rows
    return {name for names, roles in rows if role in roles for name in re.findall(r"`(\w+)`", names)}


@pytest.mark.parametrize("role", ROLES)
def test_every_metric_has_a_help_text_and_a_row_in_the_document(metrics: dict[str, str], role: str) -> None:
    found = families(metrics[role])
    assert [name for name, help_text in found.items() if len(help_text) < 5] == []
    assert documented(role) - found.keys() == set(), "in the document, not exported"
    assert found.keys() - documented(role) == set(), "exported, not in the document"


@pytest.mark.parametrize("role", ROLES)
def test_labels_are_those_of_the_document(metrics: dict[str, str], role: str) -> None:
    bounded = {"version", "role", "code", "state", "node", "op", "reason", "kind", "le"}
    bounded |= {"route", "method", "status", "commit", "winner"}
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
        ("M", r"dstore_metadata_wal_bytes [1-9]"),
        ("M", r"dstore_event_loop_lag_seconds_count [1-9]"),
        ("M", r'dstore_node_up\{node="cs-3"\} 1.0'),
        ("M", r"dstore_master_leading 1.0"),
        ("C", rf'grpc_server_started_total\{{grpc_method="WriteChunk",.*{write}\}} [1-9]'),
        ("C", r'dstore_chunk_operation_duration_seconds_count\{op="write"\} [1-9]'),
        ("C", r"dstore_event_loop_lag_seconds_count [1-9]"),
        ("C", r"dstore_disk_capacity_bytes [1-9]"),
        ("G", r'dstore_http_requests_total\{method="GET",route="/v1/files/\{path\}",status="200"\} 1.0'),
        ("G", r"dstore_http_sent_bytes_total 3e\+06"),
        ("G", r"process_resident_memory_bytes [1-9]"),
    ):
        assert re.search(f"^{pattern}", metrics[role], re.MULTILINE), pattern


DEPLOY = ROOT / "deploy"
#: What Prometheus and Grafana add by themselves.
METRICS_OF_PROMETHEUS = {"up"}
LABELS_OF_PROMETHEUS = {"job", "instance"}
WORDS_OF_PROMQL = {"sum", "max", "count", "or", "rate", "increase", "histogram_quantile", "vector", "time"}


def alerts() -> list[dict[str, str]]:
    groups = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, list[dict[str, str]]]]:
    found = json.loads((DEPLOY / "grafana/dstore.json").read_text())["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def queries() -> Iterator[str]:
    yield from (rule["expr"] for rule in alerts())
    yield from (target["expr"] for panel in panels() for target in panel["targets"])


def names_of(query: str) -> tuple[set[str], set[str]]:
    """Return the metrics and the labels of a query; every word that is neither, nor PromQL's, counts as a metric."""
    bare = re.sub(r'"[^"]*"|\[[^]]*\]', "", query)
    labels = set(re.findall(r"(\w+) *[=!]~?=?", " ".join(re.findall(r"\{([^}]*)\}", bare))))
    clauses = re.findall(r"\b(?:by|on) *\(([^)]*)\)", bare)
    labels.update(word for clause in clauses for word in re.findall(r"\w+", clause))
    bare = re.sub(r"\{[^}]*\}|\b(?:by|on) *\([^)]*\)", "", bare)
    return set(re.findall(r"[a-zA-Z_]\w*", bare)) - WORDS_OF_PROMQL, labels


def exported(metrics: dict[str, str]) -> set[str]:
    """Return the names that can be asked for: those of the samples, and of metrics that have none yet."""
    text = "".join(metrics.values())
    names = {name for name, kind in re.findall(r"^# TYPE (\S+) (\w+)$", text, re.MULTILINE) if kind != "histogram"}
    return names | set(re.findall(r"^([a-z]\w*)[{ ]", text, re.MULTILINE))


def test_words_of_a_query_are_told_apart() -> None:
    query = 'histogram_quantile(0.9, sum by (le, op) (rate(a_bucket{x="y{",z!~"w"}[5m]))) / on (n) b_total > 1e3 or c'
    metrics, labels = names_of(query.replace("1e3", "13"))
    assert metrics == {"a_bucket", "b_total", "c"}
    assert labels == {"le", "op", "x", "z", "n"}


def test_every_metric_of_alerts_and_dashboard_is_exported(metrics: dict[str, str]) -> None:
    known = exported(metrics) | METRICS_OF_PROMETHEUS
    asked = [names_of(query) for query in queries()]
    assert len(asked) > 30
    assert {name for names, _ in asked for name in names} - known == set()
    families = [each for text in metrics.values() for each in text_string_to_metric_families(text)]
    labels = {label for family in families for sample in family.samples for label in sample.labels}
    # Nothing fails in this cluster, so that these have no sample.
    labels |= {"code", "reason"} | LABELS_OF_PROMETHEUS
    assert {name for _, names in asked for name in names} - labels == set()


def test_states_and_codes_that_are_asked_for_exist(metrics: dict[str, str]) -> None:
    wanted = {value for query in queries() for value in re.findall(r'state="(\w+)"', query)}
    assert wanted == {"unavailable", "under_replicated"}
    assert [state for state in wanted if f'dstore_chunks{{state="{state}"}}' not in metrics["M"]] == []
    codes = {value for query in queries() for value in re.findall(r'[^_]code="(\w+)"', query)}
    source = "".join(path.read_text() for path in (ROOT / "dstore/master").glob("*health.py"))
    assert codes and [code for code in codes if f'"{code}"' not in source] == []


def test_alerts_say_what_is_wrong_and_what_to_do() -> None:
    for rule in alerts():
        assert rule["alert"].startswith("Dstore")
        assert set(rule["annotations"]) == {"summary", "action"}, rule["alert"]
    severities = {rule["alert"]: rule["labels"]["severity"] for rule in alerts()}  # type: ignore[index]
    assert set(severities.values()) == {"page", "warning"}
    assert severities["DstoreChunksUnavailable"] == severities["DstoreNoLeader"] == "page"


def test_panels_do_not_overlap_and_files_name_each_other() -> None:
    places = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in json.loads((DEPLOY / "grafana/dstore.json").read_text())["panels"]
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(places) == len(set(places)) and max(x for x, _ in places) < 24
    scraping = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    assert scraping["rule_files"] == ["alerts.yml"]
    assert {job["job_name"] for job in scraping["scrape_configs"]} == {"dstore-master", "dstore-chunkserver"}
    for path in (DEPLOY / "grafana/provisioning").rglob("*.yml"):
        assert yaml.safe_load(path.read_text())["apiVersion"] == 1
