"""What a user gets: the wheel, in an environment in which nothing else of dstore is, far from the checkout."""

import re
import shlex
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from page_shell import PageShell

ROOT = Path(__file__).parent.parent.parent

WRITE = """
import pandas as pd
pd.DataFrame({"city": ["Oslo", "Lima"], "people": [709_000, 10_092_000]}).to_parquet("dstore:///demo.parquet")
"""
READ = """
import sys
import pandas as pd
assert "dstore" not in sys.modules
table = pd.read_parquet("dstore:///demo.parquet")
pd.testing.assert_frame_equal(table, pd.DataFrame({"city": ["Oslo", "Lima"], "people": [709_000, 10_092_000]}))
import dstore
print(dstore.__file__)
"""


def run(*command: str) -> str:
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, f"{shlex.join(command)}:\n{finished.stdout}{finished.stderr}"
    return finished.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    flags = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(directory))
    run(sys.executable, "-m", "pip", "wheel", *flags, ".")
    return next(directory.glob("*.whl"))


def test_the_wheel_is_the_package_and_nothing_else(wheel: Path) -> None:
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "dstore").splitlines()
    package = {name for name in listed if (ROOT / name).is_file()}
    about = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    with zipfile.ZipFile(wheel) as archive:
        information = next(name for name in archive.namelist() if name.endswith("/METADATA")).removesuffix("METADATA")
        assert set(archive.namelist()) == package | {information + name for name in about}
    # What is no Python and yet needed, so that a list of the wrong files could not pass.
    assert {"dstore/py.typed", "dstore/__init__.pyi", "dstore/v1/dstore.protoset"} <= package


def linked(environment: Path, wheel: Path) -> None:
    """Install the wheel, and lend it all other packages of this interpreter: of dstore it sees the wheel alone."""
    run(sys.executable, "-m", "venv", "--without-pip", str(environment))
    lent = environment / "lent"
    lent.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if "dstore" not in path.name and path.suffix != ".pth":
            (lent / path.name).symlink_to(path)
    python = str(environment / "bin/python")
    purelib = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    (Path(purelib) / "lent.pth").write_text(f"{lent}\n")
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", str(wheel))


def downloaded(environment: Path, wheel: Path) -> None:
    """Install it as users do, with the versions of the lock file."""
    run(sys.executable, "-m", "venv", str(environment))
    constraints = environment / "constraints.txt"
    lock = (ROOT / "requirements/development.lock").read_text(encoding="utf-8")
    constraints.write_text("\n".join(re.findall(r"^[\w.-]+==[^\\\n]*", lock, flags=re.MULTILINE)))
    wanted = [f"dstore[all] @ {wheel.as_uri()}", "pandas", "pyarrow", "--constraint", str(constraints)]
    run(str(environment / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted)


@pytest.mark.parametrize("install", [linked, pytest.param(downloaded, marks=pytest.mark.install)])
@pytest.mark.timeout(600)
def test_pandas_finds_the_cluster_of_dstore_up(
    install: Callable[[Path, Path], None], wheel: Path, tmp_path: Path
) -> None:
    environment, elsewhere = tmp_path / "environment", tmp_path / "elsewhere"
    elsewhere.mkdir()
    install(environment, wheel)
    with PageShell(tmp_path, working_directory=elsewhere, programs=environment / "bin") as shell:
        for command in ("dstore up", f"python -W error -c {shlex.quote(WRITE)}"):
            code, lines = shell.run(command)
            assert code == 0, lines
        code, lines = shell.run(f"python -W error -c {shlex.quote(READ)}")
        assert code == 0, lines
        assert Path(lines[-1]).is_relative_to(environment), "it was the wheel"
