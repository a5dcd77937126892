"""Go programs: built once from the Go module proxy or a folder of ours, and kept by version."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.shell import CommandError, installed, run

OLDEST_GO = (1, 26)

# Static programs, so that an image needs nothing but the program.
_ENVIRONMENT = {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
_STRIPPED = "-s -w"
_SECONDS = 3600.0  # Kubernetes on two cores


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program: where its source is, and the folder in which it is ``kept`` by version.

    The source is a package of ``module`` (MODULE@VERSION), or the main module of ours in the folder ``sources``.
    ``wrapper`` makes the folder of a module that requires ``module``, for one that does not build by itself;
    ``symbols`` are what the linker sets, by the variable.
    """

    name: str
    kept: Path
    package: str = "."
    module: str = ""
    sources: Path | None = None
    wrapper: Callable[[], Path] | None = None
    symbols: Mapping[str, str] | None = None

    @property
    def version(self) -> str:
        """The module's version without ``v``; for a folder of ours a digest of its files."""
        return digest(self.sources) if self.sources else self.module.rpartition("@v")[2]

    @property
    def path(self) -> Path:
        """Where the built program is kept."""
        return self.kept / f"{self.name}-{self.version}" / self.name

    @property
    def built_name(self) -> str:
        """What ``go build`` calls the file."""
        if self.sources:
            return self.sources.name
        return Path(self.module.partition("@")[0] if self.package == "." else self.package).name


def digest(folder: Path) -> str:
    """Return a digest of the files in ``folder`` that a build reads."""
    files = sorted(path for path in folder.iterdir() if not path.name.endswith("_test.go"))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:12]


def build_missing(programs: Iterable[Program]) -> Iterator[str]:
    """Build what is not there yet, a module's programs together; yield their names before each.

    Together, because a program's link keeps one core busy while the others' packages can still be compiled.

    Raises:
        CommandError: Go is absent or too old, or a program does not build.
    """
    missing = [program for program in programs if not program.path.exists()]
    for _, found in groupby(missing, key=lambda program: program.module or program.name):
        group = list(found)
        _check_go()
        yield ", ".join(program.name for program in group)
        _build(group)


def module_folder(module: str) -> Path:
    """Return the folder of MODULE@VERSION in Go's module cache; download it if necessary."""
    return Path(json.loads(_go("mod", "download", "-json", module))["Dir"])


@cache
def _check_go() -> None:
    wanted = ".".join(map(str, OLDEST_GO))
    if not installed("go"):
        raise CommandError(f"programs are built from their Go modules: install Go {wanted} or newer, on PATH")
    version = _go("env", "GOVERSION").strip()
    if tuple(map(int, version.removeprefix("go").split(".")[:2])) < OLDEST_GO:
        raise CommandError(f"{version} is too old: install Go {wanted} or newer")


def _build(programs: list[Program]) -> None:
    """Build programs of one module."""
    first = programs[0]
    first.kept.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=first.kept, prefix="build-") as made:
        if first.wrapper:
            mode, folder = "mod", first.wrapper()
        else:
            mode, folder = "readonly", first.sources or module_folder(first.module)
        flags = ("-trimpath", f"-mod={mode}", f"-ldflags={_linker_flags(first)}", "-o", f"{made}/")
        _go("build", *flags, *(program.package for program in programs), cwd=folder)
        for program in programs:
            program.path.parent.mkdir(parents=True, exist_ok=True)
            Path(made, program.built_name).rename(program.path)


def _linker_flags(program: Program) -> str:
    return " ".join([_STRIPPED, *(f"-X {name}={value}" for name, value in (program.symbols or {}).items())])


def _go(*arguments: str, cwd: Path | None = None) -> str:
    return run("go", *arguments, cwd=cwd, env=_ENVIRONMENT, seconds=_SECONDS)
