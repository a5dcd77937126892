"""The Go programs of the cluster, kept below build/cluster/programs by version."""

import re
from functools import partial
from pathlib import Path

from tools.cluster.machine.layout import GO_SOURCES, PROGRAMS
from tools.cluster.machine.shell import ClusterError
from tools.cluster.software import versions
from tools.observability.programs import COLLECTOR
from tools.programs import OLDEST_GO, Program, module_folder


def required_version(folder: Path, module: str) -> str:
    """Return the version of ``module`` that the go.mod in ``folder`` requires."""
    found = re.search(rf"^\s*{re.escape(module)} (\S+)", (folder / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise ClusterError(f"{folder}/go.mod does not name {module}: adapt {__file__}")
    return found[1]


def released_beside(go_mod: str) -> list[str]:
    """List the modules for which Kubernetes' go.mod says ``v0.0.0`` and names folders that the proxy's archive lacks.

    Those with a commit, ``v0.0.0-…``, are not released with Kubernetes and stay as they are.
    """
    return re.findall(r"^\s*(k8s\.io/\S+) v0\.0\.0$", go_mod, re.MULTILINE)


def _wrapper(module: str) -> Path:
    """Create a module that requires ``module``, and Kubernetes' staging modules, which have its number with 0 for 1.

    For modules whose go.mod replaces others by folders that the proxy's archive lacks.
    """
    path, _, version = module.partition("@v")
    beside = version.replace("1.", "v0.", 1)
    stated = (module_folder(module) / "go.mod").read_text(encoding="utf-8")
    replaced = "\n".join(f"replace {name} => {name} {beside}" for name in released_beside(stated))
    name = path.rpartition("/")[2]
    folder = PROGRAMS / f"{name}-{version}-module"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "go.mod").exists():
        oldest = ".".join(map(str, OLDEST_GO))
        text = f"module switchyard.test/{name}\n\ngo {oldest}\n\nrequire {path} v{version}\n\n{replaced}\n"
        (folder / "go.mod").write_text(text, encoding="utf-8")
    return folder


def _kubernetes(name: str) -> Program:
    major, minor, _ = versions.KUBERNETES.split(".")
    module = f"k8s.io/kubernetes@v{versions.KUBERNETES}"
    version = {"gitVersion": f"v{versions.KUBERNETES}", "gitMajor": major, "gitMinor": minor}
    return _program(
        name=name,
        package=f"k8s.io/kubernetes/cmd/{name}",
        module=module,
        wrapper=partial(_wrapper, module),
        symbols={f"k8s.io/component-base/version.{key}": value for key, value in version.items()},
    )


def _knative(name: str) -> Program:
    return _program(name=f"knative-{name}", package=f"./cmd/{name}", module=f"knative.dev/serving@v{versions.KNATIVE}")


def _ours(name: str) -> Program:
    return _program(name=name, sources=GO_SOURCES / name)


_program = partial(Program, kept=PROGRAMS)

KUBE_APISERVER = _kubernetes("kube-apiserver")
KUBE_CONTROLLER_MANAGER = _kubernetes("kube-controller-manager")
KUBE_SCHEDULER = _kubernetes("kube-scheduler")
KUBELET = _kubernetes("kubelet")
KUBE_PROXY = _kubernetes("kube-proxy")
COREDNS = _program(name="coredns", module=f"github.com/coredns/coredns@v{versions.COREDNS}")
KNATIVE = {name: _knative(name) for name in ("controller", "autoscaler", "activator", "webhook", "queue")}
KSERVE_MANAGER = _program(
    name="kserve-manager", package="./cmd/manager", module=f"github.com/kserve/kserve@v{versions.KSERVE}"
)
METRICS_SERVER = _program(
    name="metrics-server",
    package="./cmd/metrics-server",
    module=f"sigs.k8s.io/metrics-server@v{versions.METRICS_SERVER}",
)
MONITORING = f"github.com/prometheus-operator/prometheus-operator@v{versions.PROMETHEUS_OPERATOR}"
PROMETHEUS_OPERATOR = _program(
    name="prometheus-operator",
    package="github.com/prometheus-operator/prometheus-operator/cmd/operator",
    module=MONITORING,
    wrapper=partial(_wrapper, MONITORING),
)
# Asks the API server who may read the metrics of KServe's manager, which it stands before.
KUBE_RBAC_PROXY = _program(
    name="kube-rbac-proxy",
    package="./cmd/kube-rbac-proxy",
    module=f"github.com/brancz/kube-rbac-proxy@v{versions.KUBE_RBAC_PROXY}",
)
INGRESS = _ours("ingress")
PAUSE = _ours("pause")

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
    KUBE_RBAC_PROXY,
    PROMETHEUS_OPERATOR,
    COLLECTOR,
    INGRESS,
    PAUSE,
)
