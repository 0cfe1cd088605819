"""The gateway as a process, in front of a real cluster, used with curl as people use it."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cluster import LocalTestCluster, clean_environment, run_dstore, wait_until
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from dstore.gateway.routes import ROUTES

MIB = 1024 * 1024


@dataclass(frozen=True)
class Gateway:
    """A gateway that runs; ``errors`` is its stderr."""

    url: str
    warnings: list[str]
    process: subprocess.Popen[bytes]
    errors: Path

    def curl(self, *arguments: str) -> tuple[int, bytes]:
        """Run curl, and return the HTTP status and the body."""
        command = ["curl", "--silent", "--show-error", "--write-out", "\n%{http_code}", *arguments]
        finished = subprocess.run(command, capture_output=True, timeout=100, check=True)
        body, _, status = finished.stdout.rpartition(b"\n")
        return int(status), body

    def curl_json(self, *arguments: str) -> tuple[int, Any]:
        status, body = self.curl(*arguments)
        return status, json.loads(body)

    def peak_memory_mib(self) -> float:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


@contextmanager
def running(cluster: LocalTestCluster, errors: Path, *arguments: str) -> Iterator[Gateway]:
    command = [sys.executable, "-m", "dstore", "gateway", "run", "--listen", "127.0.0.1:0", *arguments]
    with (
        errors.open("wb") as stderr,
        subprocess.Popen(command, env=cluster.environ, stdout=subprocess.PIPE, stderr=stderr) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, errors.read_text()
            ready = json.loads(line)
            assert (ready["event"], ready["role"]) == ("ready", "gateway")
            yield Gateway(ready["url"], ready["warnings"], process, errors)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0, errors.read_text()
        finally:
            process.kill()


@pytest.fixture(scope="module")
def gateway(small_chunks_cluster: LocalTestCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(small_chunks_cluster, tmp_path_factory.mktemp("gateway") / "errors") as gateway:
        yield gateway


def test_a_session(gateway: Gateway, small_chunks_cluster: LocalTestCluster, tmp_path: Path) -> None:
    url, local = gateway.url, tmp_path / "report.txt"
    data = random.Random(1).randbytes(5 * MIB + 3)
    local.write_bytes(data)
    status, value = gateway.curl_json("-F", f"file=@{local}", f"{url}/upload")
    assert (status, value["files"][0]["name"], value["files"][0]["size_bytes"]) == (201, "report.txt", len(data))
    status, value = gateway.curl_json("-F", f"file=@{local}", f"{url}/upload")
    assert (status, value["error"]["reason"]) == (409, "FILE_EXISTS")
    # What HTTP stored, the command reads, decrypted with the same key; and the other way round.
    assert small_chunks_cluster.check("cat", "/report.txt") == data
    small_chunks_cluster.check("put", str(local), "/by command")
    status, value = gateway.curl_json(f"{url}/list")
    assert (status, [each["name"] for each in value["files"]]) == (200, ["by command", "report.txt"])
    fetched = tmp_path / "fetched"
    fetched.write_bytes(data[: 2 * MIB])
    status, _ = gateway.curl("-C", "-", "-o", str(fetched), f"{url}/download/by%20command")
    assert (status, fetched.read_bytes() == data) == (206, True)
    assert gateway.curl("-T", str(local), f"{url}/update/report.txt")[0] == 200
    assert gateway.curl_json("-X", "DELETE", f"{url}/delete/report.txt")[0] == 200
    assert gateway.curl_json("-X", "DELETE", f"{url}/v1/files/by%20command")[0] == 200
    assert gateway.curl_json(f"{url}/list")[1]["files"] == []
    small_chunks_cluster.check("restore", "/report.txt")
    assert gateway.curl(f"{url}/download/report.txt") == (200, data)


def writes_in_progress(cluster: LocalTestCluster) -> int:
    return int(str(cluster.check_json("status")["writes_in_progress"]))


def test_an_interrupted_upload_leaves_nothing(
    gateway: Gateway, small_chunks_cluster: LocalTestCluster, tmp_path: Path
) -> None:
    local = tmp_path / "large"
    with local.open("wb") as file:
        file.truncate(64 * MIB)
    command = ["curl", "--silent", "--limit-rate", "4M", "-T", str(local), f"{gateway.url}/v1/files/interrupted"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as uploading:
        wait_until(lambda: writes_in_progress(small_chunks_cluster) > 0, what="it has begun", timeout_s=60)
        assert uploading.poll() is None, "it is under way"
        uploading.kill()
    wait_until(lambda: writes_in_progress(small_chunks_cluster) == 0, what="it is given up", timeout_s=60)
    assert gateway.curl(f"{gateway.url}/v1/files/interrupted")[0] == 404


def test_memory_stays_flat_and_no_plaintext_lands_on_a_disk(gateway: Gateway, tmp_path: Path) -> None:
    block = random.Random(2).randbytes(MIB)
    size = 128
    local, fetched = tmp_path / "local", tmp_path / "fetched"
    with local.open("wb") as file:
        for _ in range(size):
            file.write(block)
    before = gateway.peak_memory_mib()
    assert gateway.curl("-F", f"file=@{local};filename=form", f"{gateway.url}/upload")[0] == 201
    assert gateway.curl("-T", str(local), f"{gateway.url}/v1/files/plain")[0] == 201
    written = Path(f"/proc/{gateway.process.pid}/io").read_text()
    for name in ("form", "plain"):
        assert gateway.curl("-o", str(fetched), f"{gateway.url}/v1/files/{name}")[0] == 200
        assert subprocess.run(["cmp", str(local), str(fetched)], check=False).returncode == 0
    # It may remember versions that it saw, and no more.
    counts = dict(line.split(": ") for line in written.splitlines())
    assert int(counts["write_bytes"]) < MIB
    assert gateway.peak_memory_mib() - before < 100, "less than one of the files"


def test_tokens(small_chunks_cluster: LocalTestCluster, tmp_path: Path) -> None:
    made = [
        small_chunks_cluster.check_json("gateway", "token", *arguments)
        for arguments in (("writer",), ("reader", "--read-only"), ("watcher", "--metrics-only"))
    ]
    tokens = tmp_path / "tokens.toml"
    tokens.write_text("".join(str(each["table"]) for each in made))
    refused = small_chunks_cluster.run("gateway", "run", "--listen", "127.0.0.1:0", "--tokens", str(tokens))
    assert b"TOKEN_FILE_EXPOSED" in refused.stderr
    tokens.chmod(0o600)
    writer, reader, watcher = (["-H", f"Authorization: Bearer {each['token']}"] for each in made)
    with running(small_chunks_cluster, tmp_path / "errors", "--tokens", str(tokens)) as gateway:
        target = f"{gateway.url}/v1/files/guarded"
        assert gateway.warnings == []
        assert gateway.curl(target)[0] == 401
        assert gateway.curl(*writer, "-T", os.devnull, target)[0] == 201
        assert gateway.curl(*reader, target) == (200, b"")
        assert gateway.curl(*reader, "-X", "DELETE", target)[0] == 403
        assert gateway.curl(*watcher, target)[0] == 403
        assert gateway.curl(*reader, f"{gateway.url}/metrics")[0] == 403
        status, figures = gateway.curl(*watcher, f"{gateway.url}/metrics")
        assert status == 200 and b"guarded" not in figures and b"reader" not in figures
        # Taken back without a restart; the others stay good, also when the file breaks.
        tokens.write_text("".join(str(each["table"]) for each in made[1:]))
        wait_until(
            lambda: gateway.curl(*writer, "-T", os.devnull, target)[0] == 401,
            what="the token to be unknown",
            timeout_s=60,
        )
        tokens.write_text("[tokens")
        wait_until(
            lambda: gateway.curl_json(f"{gateway.url}/readyz")[1]["checks"]["tokens"] == "TOKEN_FILE_INVALID",
            what="the broken file to be noticed",
            timeout_s=60,
        )
        assert gateway.curl_json(f"{gateway.url}/readyz")[0] == 200
        assert gateway.curl(*reader, target) == (200, b"")
        assert gateway.curl(*writer, target)[0] == 401
        log = gateway.errors.read_text()
    assert '"identity": "reader"' in log
    assert not any(str(each["token"]) in log for each in made)


def test_tls(small_chunks_cluster: LocalTestCluster, tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    write_certificate(certificate, key)
    files = ["--tls-certificate", str(certificate), "--tls-key", str(key)]
    with running(small_chunks_cluster, tmp_path / "errors", *files) as gateway:
        assert gateway.url.startswith("https://")
        trusting = ["--cacert", str(certificate)]
        target, data = f"{gateway.url}/v1/files/secret", random.Random(3).randbytes(3 * MIB)
        (tmp_path / "data").write_bytes(data)
        assert gateway.curl(*trusting, "-T", str(tmp_path / "data"), target)[0] == 201
        assert gateway.curl(*trusting, target) == (200, data)
        # Who does not know the certificate sends nothing.
        with pytest.raises(subprocess.CalledProcessError):
            gateway.curl(target)


def write_certificate(certificate: Path, key: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(Encoding.PEM))
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def test_requests_made_from_the_document(
    gateway: Gateway, small_chunks_cluster: LocalTestCluster, tmp_path: Path
) -> None:
    """Hundreds of requests, half of them wrong: none meets a defect, hangs, or gets an undocumented answer."""
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{gateway.url}/openapi.json"]
    command += ["--url", gateway.url, "--checks", checks, "--max-examples", "5", "--seed", "1", "--no-color"]
    command += ["--phases", "examples,coverage,fuzzing", "--request-timeout", "60", "--suppress-health-check", "all"]
    environ = small_chunks_cluster.environ | {"HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path)}
    finished = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, timeout=110, check=False)
    report = finished.stdout.decode(errors="replace")
    assert finished.returncode == 0, report + finished.stderr.decode(errors="replace")
    # It does not ask for what it was started with, the document itself.
    count = sum(len(operations) for operations in ROUTES.values()) - 1
    assert f"Tested: {count}\n" in report, report
    assert "defect" not in gateway.errors.read_text()


def test_open_to_everybody_is_said_loudly(small_chunks_cluster: LocalTestCluster, tmp_path: Path) -> None:
    with running(small_chunks_cluster, tmp_path / "errors", "--listen", "0.0.0.0:0") as gateway:
        assert len(gateway.warnings) == 2
        assert gateway.errors.read_text().count('"level": "warning"') == 2


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--listen", "nowhere"], "CONFIG_INVALID"),
        (["--listen", "127.0.0.1:0", "--tls-key", "x"], "CONFIG_INVALID"),
        (["--listen", "127.0.0.1:0", "--max-size", "large"], "SIZE_INVALID"),
        (["--listen", "127.0.0.1:0", "--endpoint", "127.0.0.1:1"], "MASTER_UNREACHABLE"),
        (["--listen", "127.0.0.1:0", "--tls-certificate", "/x", "--tls-key", "/x"], "CERTIFICATE_UNUSABLE"),
    ],
)
def test_it_says_why_it_cannot_start(small_chunks_cluster: LocalTestCluster, arguments: list[str], reason: str) -> None:
    finished = small_chunks_cluster.run("gateway", "run", *arguments)
    assert finished.returncode != 0
    assert reason.encode() in finished.stderr
    assert finished.stdout == b""


@pytest.mark.parametrize("reason", ["NO_KEY_FILE", "KEY_FILE_MISSING", "KEY_FILE_EXPOSED", "KEY_FILE_INVALID"])
def test_it_does_not_start_without_a_key(small_chunks_cluster: LocalTestCluster, tmp_path: Path, reason: str) -> None:
    key = tmp_path / "the.key"
    if reason != "KEY_FILE_MISSING":
        key.write_bytes(b"no key" if reason == "KEY_FILE_INVALID" else small_chunks_cluster.key_file.read_bytes())
        key.chmod(0o644 if reason == "KEY_FILE_EXPOSED" else 0o600)
    arguments = ["gateway", "run", "--listen", "127.0.0.1:0", "--endpoint", small_chunks_cluster.endpoint]
    if reason != "NO_KEY_FILE":
        arguments += ["--key-file", str(key)]
    # Of a user who has no profile that names a key.
    finished = run_dstore(arguments, environ=clean_environment(tmp_path))
    assert finished.returncode != 0
    assert reason.encode() in finished.stderr
    assert finished.stdout == b""


#: Arguments of curl behind the address of the gateway, LOCAL standing for a file; the status, and the reason.
BAD_INPUT = [
    (["-X", "DELETE", "/delete/../x"], 400, "NAME_HAS_DIRECTORIES"),
    (["/download/..%2Fx"], 400, "NAME_HAS_DIRECTORIES"),
    (["/v1/files/a/../b"], 400, "PATH_RELATIVE_NAME"),
    (["-F", "file=@LOCAL;filename=../x", "/upload"], 400, "NAME_HAS_DIRECTORIES"),
    (["-F", "other=@LOCAL", "/upload"], 400, "FIELD_MISSING"),
    (["-T", "LOCAL", "-H", "Content-Length: 1", "-H", "Content-Length: 2", "/v1/files/two"], 400, "HTTP_INVALID"),
    (["-r", "4000-", "/v1/files/here"], 416, "RANGE_NOT_SATISFIABLE"),
    (["-F", "file=@LOCAL;filename=here", "/upload"], 409, "FILE_EXISTS"),
    (["-T", "LOCAL", "-H", "If-None-Match: *", "/v1/files/here"], 412, "PRECONDITION_FAILED"),
    (["-T", "LOCAL", "-H", 'If-Match: "1"', "/v1/files/here"], 412, "PRECONDITION_FAILED"),
    (["-X", "DELETE", "-H", 'If-Match: "1"', "/v1/files/here"], 412, "PRECONDITION_FAILED"),
    (["-T", "LOCAL", "/v1/files/large"], 413, "BODY_TOO_LARGE"),
    (["-T", "LOCAL", "-H", "Transfer-Encoding: chunked", "/v1/files/large"], 413, "BODY_TOO_LARGE"),
    (["/v1/files/%FF"], 400, "TARGET_INVALID"),
    (["/v1/files/%zz"], 400, "TARGET_INVALID"),
    (["/v1/files/a%00b"], 400, "PATH_HAS_NUL"),
    (["/v1/files/%3Cscript%3Ealert(1)%3C%2Fscript%3E"], 404, "FILE_NOT_FOUND"),
]


def test_bad_input(small_chunks_cluster: LocalTestCluster, tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"1")
    large.write_bytes(bytes(4000))
    with running(small_chunks_cluster, tmp_path / "errors", "--max-size", "3000") as gateway:
        before = gateway.curl_json(f"{gateway.url}/list")[1]["files"]
        assert gateway.curl("-T", str(small), f"{gateway.url}/v1/files/here")[0] == 201
        for arguments, status, reason in BAD_INPUT:
            local = str(large if status == 413 else small)
            *options, address = [each.replace("LOCAL", local) for each in arguments]
            found, value = gateway.curl_json("--path-as-is", *options, gateway.url + address)
            error = value["error"]
            assert (found, error["reason"]) == (status, reason), (arguments, value)
            assert len(error["message"]) > 20 and error["request_id"]
        for name in ("<b>&amp;\"'", "e\u0301", "\u00e9", "%41", "a+b", "a b?#c", "\U0001f4be"):
            address = f"{gateway.url}/v1/files/{quote(name, safe='')}"
            assert gateway.curl("-T", str(small), address)[0] == 201
            assert gateway.curl(address) == (200, b"1")
            assert name in [each["name"] for each in gateway.curl_json(f"{gateway.url}/list")[1]["files"]]
            assert gateway.curl("-X", "DELETE", address)[0] == 200
        assert gateway.curl("-X", "DELETE", f"{gateway.url}/v1/files/here")[0] == 200
        assert gateway.curl_json(f"{gateway.url}/list")[1]["files"] == before
