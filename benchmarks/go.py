"""Go programs that tests and benchmarks compare with: built once, kept in ``build/go`` below the repository."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
KSERVE = "github.com/kserve/kserve@v0.20.0"
VERSITYGW = "github.com/versity/versitygw@v1.8.0"
REGISTRY = "github.com/distribution/distribution/v3@v3.1.2"
_KEPT = REPOSITORY / "build" / "go"
_OLDEST_GO = (1, 25)
_FIXED_ADDRESS = '":" + strconv.Itoa(constants.RouterPort)'
_ADDRESS_GO = """package main

import "os"

func address(usual string) string {
	if told := os.Getenv("ROUTER_ADDRESS"); told != "" {
		return told
	}
	return usual
}
"""


class GoError(RuntimeError):
    """Go is absent, too old, or did not build a program; the message says what to do."""


def kserve_router() -> Path:
    """KServe's router, as its module says it is to be built (some minutes the first time).

    One thing is changed, as tests run side by side: it listens at ``ROUTER_ADDRESS``, if that is set, not on port 8080.

    Raises:
        GoError: it cannot be built.
    """
    kept = _KEPT / f"kserve-router-{_key(KSERVE + _ADDRESS_GO)}"
    if not kept.exists():
        with tempfile.TemporaryDirectory() as scratch:
            source = Path(scratch, "kserve")
            shutil.copytree(_module(KSERVE), source, copy_function=shutil.copyfile)
            _listen_where_told(source / "cmd" / "router")
            _build(source, "./cmd/router", kept)
    return kept


def _listen_where_told(package: Path) -> None:
    main = package / "main.go"
    text = main.read_text(encoding="utf-8")
    if text.count(_FIXED_ADDRESS) != 1:
        raise GoError(f"{KSERVE} has no single {_FIXED_ADDRESS!r} in cmd/router/main.go: adapt {__file__}")
    package.chmod(0o755)  # the module cache is read-only
    main.chmod(0o644)
    main.write_text(text.replace(_FIXED_ADDRESS, f"address({_FIXED_ADDRESS})"), encoding="utf-8")
    (package / "address.go").write_text(_ADDRESS_GO, encoding="utf-8")


def program(source: Path) -> Path:
    """The program whose module is the folder ``source``.

    Raises:
        GoError: it cannot be built.
    """
    content = b"".join(path.read_bytes() for path in sorted(source.iterdir()))
    kept = _KEPT / f"{source.name}-{_key(content.decode())}"
    if not kept.exists():
        _build(source, ".", kept)
    return kept


def kube_score() -> Path:
    """The linter kube-score (a minute the first time).

    Raises:
        GoError: it cannot be built.
    """
    return _tool("kube_score", "github.com/zegl/kube-score/cmd/kube-score")


def h2spec() -> Path:
    """h2spec, which asks a server what HTTP/2 says.

    Raises:
        GoError: it cannot be built.
    """
    return _tool("h2spec", "github.com/summerwind/h2spec/cmd/h2spec")


def s3_server() -> Path:
    """The S3 server versitygw (a minute the first time).

    Raises:
        GoError: it cannot be built.
    """
    return _of_module(VERSITYGW, "./cmd/versitygw")


def registry() -> Path:
    """The OCI registry distribution (a minute the first time).

    Raises:
        GoError: it cannot be built.
    """
    return _of_module(REGISTRY, "./cmd/registry")


def _of_module(module: str, package: str) -> Path:
    """The program ``package`` of a module as it was published, with the versions of its own go.sum."""
    kept = _KEPT / f"{package.rpartition('/')[2]}-{_key(module)}"
    if not kept.exists():
        _build(_module(module), package, kept)
    return kept


def _tool(folder: str, package: str) -> Path:
    """The program ``package`` at the version of the go.mod in a folder of tests/testdata."""
    source = REPOSITORY / "tests" / "testdata" / folder
    name = package.rpartition("/")[2]
    kept = _KEPT / f"{name}-{_key((source / 'go.sum').read_text(encoding='utf-8'))}"
    if not kept.exists():
        _build(source, package, kept)
    return kept


def _key(content: str) -> str:
    return hashlib.sha256(f"{_version()}\n{content}".encode()).hexdigest()[:12]


@cache
def _version() -> str:
    if shutil.which("go") is None:
        raise GoError(f"Go is needed to build what this compares with: install Go {_wanted()} and put it on PATH")
    version = _go("env", "GOVERSION").strip()
    if tuple(map(int, version.removeprefix("go").split(".")[:2])) < _OLDEST_GO:
        raise GoError(f"{version} is too old to build what this compares with: install Go {_wanted()}")
    return version


def _wanted() -> str:
    return f"{'.'.join(map(str, _OLDEST_GO))} or newer"


def _module(name: str) -> Path:
    return Path(json.loads(_go("mod", "download", "-json", name))["Dir"])


def _build(source: Path, package: str, kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    made = kept.with_suffix(f".{os.getpid()}")
    _go("build", "-mod=readonly", "-o", str(made), package, cwd=source)
    made.rename(kept)


def _go(*arguments: str, cwd: Path = REPOSITORY) -> str:
    done = subprocess.run(("go", *arguments), cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GoError(f"`go {' '.join(arguments)}` failed in {cwd}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout
