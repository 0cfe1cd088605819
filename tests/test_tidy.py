"""House rules that no linter knows. Each test lists every offence, so that one run shows all that is to be done."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from dstore.core.errors import ALL_ERRORS

ROOT = Path(__file__).parent.parent
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 400
EMPTY_NAMES = {"util", "utils", "helper", "helpers", "common", "misc"}
ERROR_NAMES = {kind.__name__: kind for kind in ALL_ERRORS}

#: Reasons that end a process before it serves anything; no caller of an RPC can meet them.
START_REASONS = {
    "ADDRESS_IN_USE",
    "CONFIG_INVALID",
    "DIRECTORY_LOCKED",
    "DIRECTORY_UNUSABLE",
    "IDENTITY_MISSING",
    "POLICY_INVALID",
    "RECORD_CORRUPT",
    "SCHEMA_TOO_NEW",
    "SCHEMA_TOO_OLD",
    "SQLITE_TOO_OLD",
    "STORE_NOT_DURABLE",
}

#: Reasons by which parts of one process talk to each other; they never leave it.
INNER_REASONS = {"DEADLINE_EXCEEDED", "LEADER_CHANGED", "ORDERS_OUTDATED", "SOURCE_BEHIND"}


def tracked_files() -> list[Path]:
    """Every text file that is, or would be, committed."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file() and path.suffix not in {".protoset", ".png"}]


def python_files(*directories: str) -> list[Path]:
    """Every Python file below these directories that people write."""
    wanted = [path for path in tracked_files() if path.suffix == ".py"]
    return [
        path
        for path in wanted
        if path.relative_to(ROOT).parts[0] in directories and not path.is_relative_to(ROOT / "dstore" / "v1")
    ]


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path)))


def place(path: Path, line: int | None = None) -> str:
    name = str(path.relative_to(ROOT))
    return name if line is None else f"{name}:{line}"


def listed(offences: list[str]) -> str:
    return "\n" + "\n".join(offences)


def test_the_rules_see_the_code() -> None:
    assert len(python_files("dstore")) > 20
    assert ROOT / "Makefile" in tracked_files()


def test_functions_are_short() -> None:
    offences = [
        f"{place(path, node.lineno)} {node.name}: {length} lines"
        for path in python_files("dstore", "tests", "benchmarks", "examples")
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]
    assert not offences, listed(offences)


def test_files_are_short() -> None:
    offences = [
        f"{place(path)}: {length} lines"
        for path in python_files("dstore", "tests", "benchmarks", "examples")
        if (length := len(path.read_text(encoding="utf-8").splitlines())) > FILE_LINES_MAX
    ]
    assert not offences, listed(offences)


def test_modules_are_named_after_what_is_in_them() -> None:
    offences = [
        place(path)
        for path in python_files("dstore", "tests", "benchmarks", "examples")
        if EMPTY_NAMES & {path.stem, *path.relative_to(ROOT).parts[:-1]}
    ]
    assert not offences, listed(offences)


def test_nothing_is_left_for_later() -> None:
    # Put together from halves, so that this file keeps the rule.
    words = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b")
    offences = places_of(words)
    assert not offences, listed(offences)


def test_no_registry_is_named() -> None:
    # Where packages and images come from is a matter of the machine that installs them.
    hosts = ["py" + "pi.org", "python" + "hosted", "crates" + ".io", "npm" + "js", "docker" + ".io", "gh" + "cr.io"]
    hosts += ["quay" + ".io", "deb" + "ian.org", "proxy." + "golang", "maven" + ".org", "index" + "-url ="]
    offences = places_of(re.compile("|".join(map(re.escape, hosts))))
    assert not offences, listed(offences)


def places_of(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{place(path, number)}: {line.strip()}"
        for path in tracked_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]


def test_relative_links_lead_somewhere() -> None:
    links = [
        (path, number, target)
        for path in tracked_files()
        if path.suffix == ".md"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        for target in re.findall(r"\]\(([^)#\s]+)", line)
        if "://" not in target
    ]
    assert len(links) > 10, "the links are seen at all"
    offences = [
        f"{place(path, number)}: {target}" for path, number, target in links if not (path.parent / target).exists()
    ]
    assert not offences, listed(offences)


def test_every_limit_has_its_reason() -> None:
    # Constants without an empty line between them share the comment above.
    explained, offences = False, []
    for line in (ROOT / "dstore/core/limits.py").read_text(encoding="utf-8").splitlines():
        if line.startswith("#:"):
            explained = True
        elif not line.strip():
            explained = False
        elif re.match(r"[A-Z][A-Z0-9_]* =", line) and not explained:
            offences.append(line)
    assert not offences, listed(offences)


def test_every_error_class_is_in_the_list_of_all_errors() -> None:
    # Those of the command line are made on the user's machine, and so need no code on the wire.
    offences = [
        f"{place(path, node.lineno)} {node.name}"
        for path in python_files("dstore")
        if not path.is_relative_to(ROOT / "dstore" / "cli")
        for node in nodes(path)
        if isinstance(node, ast.ClassDef)
        and {base.id for base in node.bases if isinstance(base, ast.Name)} & {"DstoreError", *ERROR_NAMES}
        and node.name not in ERROR_NAMES
    ]
    assert not offences, listed(offences)


def reasons_in_protos() -> dict[str, str]:
    """Each reason that a comment of the protos lists as ``CODE / REASON``, with one place where it stands."""
    found = {}
    for path in sorted((ROOT / "protos").rglob("*.proto")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if line.lstrip().startswith("//"):
                for reason in re.findall(r"\b[A-Z][A-Z_]+ / ([A-Z][A-Z0-9_]+)\b", line):
                    found[reason] = place(path, number)
    return found


def reasons_raised(path: Path) -> Iterator[tuple[str, int]]:
    """Each reason with which this file makes an error, and the line."""
    for node in nodes(path):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERROR_NAMES:
            given = [keyword.value for keyword in node.keywords if keyword.arg == "reason"]
            if not given:
                yield ERROR_NAMES[node.func.id].default_reason, node.lineno
            elif isinstance(given[0], ast.Constant):
                yield str(given[0].value), node.lineno


def test_every_reason_in_the_protos_is_one_that_the_code_gives() -> None:
    texts = {kind.default_reason for kind in ALL_ERRORS}
    for path in python_files("dstore"):
        texts |= {str(node.value) for node in nodes(path) if isinstance(node, ast.Constant)}
    specified = reasons_in_protos()
    assert len(specified) > 20
    offences = [f"{where} {reason}" for reason, where in specified.items() if reason not in texts]
    assert not offences, listed(offences)


def test_every_reason_of_the_servers_is_in_the_protos() -> None:
    known = reasons_in_protos().keys() | START_REASONS | INNER_REASONS
    offences = [
        f"{place(path, line)} {reason}"
        for path in python_files("dstore")
        if path.relative_to(ROOT).parts[1] in {"master", "chunkserver"}
        for reason, line in reasons_raised(path)
        # The paths' own reasons are specified by their prefix.
        if reason not in known and not reason.startswith("PATH_")
    ]
    assert not offences, listed(offences)


def test_every_make_target_has_a_line_of_help() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", text, flags=re.MULTILINE))
    helped = set(re.findall(r"^([a-z][a-z-]*):.*## \S", text, flags=re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.*)$", text, flags=re.MULTILINE)
    assert phony is not None
    assert targets == helped == set(phony[1].split())
