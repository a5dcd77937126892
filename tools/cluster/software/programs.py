"""The Go programs of the cluster: built once from the Go module proxy, kept below build/cluster/programs by version."""

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

from tools.cluster.machine.layout import GO_SOURCES, PROGRAMS
from tools.cluster.machine.shell import ClusterError, installed, run
from tools.cluster.software import versions

# Static programs, so that an image needs nothing but the program.
_GO_ENVIRONMENT = {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
_STRIPPED = "-s -w"


@dataclass(frozen=True, slots=True)
class Program:
    """One program: where its source is and where its file is kept."""

    name: str
    package: str
    module: str = ""  # MODULE@VERSION; empty for a folder of ours
    wrapped: bool = False  # must be built from a module that requires it, not in its own folder

    @property
    def version(self) -> str:
        """The module's version without ``v``; for a folder of ours a digest of its files."""
        return self.module.rpartition("@v")[2] if self.module else _digest(GO_SOURCES / self.package)

    @property
    def path(self) -> Path:
        """Where the built program is kept."""
        return PROGRAMS / f"{self.name}-{self.version}" / self.name


def _digest(folder: Path) -> str:
    files = sorted(path for path in folder.iterdir() if not path.name.endswith("_test.go"))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:12]


def _kubernetes(name: str) -> Program:
    return Program(name, f"k8s.io/kubernetes/cmd/{name}", f"k8s.io/kubernetes@v{versions.KUBERNETES}", wrapped=True)


def _knative(name: str) -> Program:
    return Program(f"knative-{name}", f"./cmd/{name}", f"knative.dev/serving@v{versions.KNATIVE}")


def _kserve(name: str) -> Program:
    return Program(f"kserve-{name}", f"./cmd/{name}", f"github.com/kserve/kserve@v{versions.KSERVE}")


KUBE_APISERVER = _kubernetes("kube-apiserver")
KUBE_CONTROLLER_MANAGER = _kubernetes("kube-controller-manager")
KUBE_SCHEDULER = _kubernetes("kube-scheduler")
KUBELET = _kubernetes("kubelet")
KUBE_PROXY = _kubernetes("kube-proxy")
COREDNS = Program("coredns", ".", f"github.com/coredns/coredns@v{versions.COREDNS}")
KNATIVE = {name: _knative(name) for name in ("controller", "autoscaler", "activator", "webhook", "queue")}
KSERVE_MANAGER = _kserve("manager")
METRICS_SERVER = Program(
    "metrics-server", "./cmd/metrics-server", f"sigs.k8s.io/metrics-server@v{versions.METRICS_SERVER}"
)
INGRESS = Program("ingress", "ingress")
PAUSE = Program("pause", "pause")

ALL = (
    KUBE_APISERVER,
    KUBE_CONTROLLER_MANAGER,
    KUBE_SCHEDULER,
    KUBELET,
    KUBE_PROXY,
    COREDNS,
    *KNATIVE.values(),
    KSERVE_MANAGER,
    METRICS_SERVER,
    INGRESS,
    PAUSE,
)


def build_missing() -> Iterator[str]:
    """Build what is not there yet, a module's programs together; yields their names before each.

    Together, because a program's link keeps one core busy while the others' packages can still be compiled.

    Raises:
        ClusterError: Go is absent or too old, or a program does not build.
    """
    missing = [program for program in ALL if not program.path.exists()]
    for _, group in groupby(missing, key=lambda program: program.module or program.name):
        programs = list(group)
        _check_go()
        yield ", ".join(program.name for program in programs)
        _build(programs)


def module_folder(module: str) -> Path:
    """Return the folder of MODULE@VERSION in Go's module cache; download it if necessary."""
    return Path(json.loads(_go("mod", "download", "-json", module))["Dir"])


def required_version(folder: Path, module: str) -> str:
    """Return the version of ``module`` that the go.mod in ``folder`` requires."""
    found = re.search(rf"^\s*{re.escape(module)} (\S+)", (folder / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise ClusterError(f"{folder}/go.mod does not name {module}: adapt {__file__}")
    return found[1]


@cache
def _check_go() -> None:
    wanted = ".".join(map(str, versions.OLDEST_GO))
    if not installed("go"):
        raise ClusterError(f"Go builds the cluster's programs: install Go {wanted} or newer and put it on PATH")
    version = _go("env", "GOVERSION").strip()
    if tuple(map(int, version.removeprefix("go").split(".")[:2])) < versions.OLDEST_GO:
        raise ClusterError(f"{version} is too old to build the cluster's programs: install Go {wanted} or newer")


def _build(programs: list[Program]) -> None:
    """Build programs of one module."""
    first = programs[0]
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PROGRAMS) as made:
        flags = ("-trimpath", f"-ldflags={_linker_flags(first)}", "-o", f"{made}/")
        packages = [program.package if program.module else "." for program in programs]
        if first.wrapped:
            _go("build", "-mod=mod", *flags, *packages, cwd=_kubernetes_wrapper())
        else:
            folder = module_folder(first.module) if first.module else GO_SOURCES / first.package
            _go("build", "-mod=readonly", *flags, *packages, cwd=folder)
        for program in programs:
            imported = program.module.partition("@")[0] if program.package == "." else program.package
            program.path.parent.mkdir(parents=True, exist_ok=True)
            Path(made, Path(imported).name).rename(program.path)


def _linker_flags(program: Program) -> str:
    if not program.wrapped:
        return _STRIPPED
    major, minor, _ = program.version.split(".")
    version = {"gitVersion": f"v{program.version}", "gitMajor": major, "gitMinor": minor}
    return " ".join([_STRIPPED, *(f"-X k8s.io/component-base/version.{key}={value}" for key, value in version.items())])


def _kubernetes_wrapper() -> Path:
    """Create a module that requires k8s.io/kubernetes and its staging modules, which have its number with 0 for 1."""
    module = f"k8s.io/kubernetes@v{versions.KUBERNETES}"
    beside = versions.KUBERNETES.replace("1.", "v0.", 1)
    stated = (module_folder(module) / "go.mod").read_text(encoding="utf-8")
    replaced = "\n".join(f"replace {name} => {name} {beside}" for name in released_beside(stated))
    folder = PROGRAMS / f"kubernetes-{versions.KUBERNETES}-module"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "go.mod").exists():
        oldest = ".".join(map(str, versions.OLDEST_GO))
        text = f"module switchyard.test/kubernetes\n\ngo {oldest}\n\nrequire {module.replace('@', ' ')}\n\n{replaced}\n"
        (folder / "go.mod").write_text(text, encoding="utf-8")
    return folder


def released_beside(go_mod: str) -> list[str]:
    """List the modules for which Kubernetes' go.mod says ``v0.0.0`` and names folders that the proxy's archive lacks.

    Those with a commit, ``v0.0.0-…``, are not released with Kubernetes and stay as they are.
    """
    return re.findall(r"^\s*(k8s\.io/\S+) v0\.0\.0$", go_mod, re.MULTILINE)


def _go(*arguments: str, cwd: Path | None = None) -> str:
    return run("go", *arguments, cwd=cwd, env=_GO_ENVIRONMENT, seconds=3600)
