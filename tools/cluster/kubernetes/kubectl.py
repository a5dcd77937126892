"""kubectl against this cluster and no other."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tools.cluster.kubernetes.pki import AUTHORITY
from tools.cluster.machine.layout import ADMIN_KUBECONFIG, API_SERVER, RUN
from tools.cluster.machine.shell import ClusterError, eventually, run

Document = dict[str, Any]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads ``=`` as a text, as Kubernetes does."""


_Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)


def kubectl(*arguments: str, text: str | None = None, seconds: float = 180) -> str:
    """Run ``kubectl`` and return its output; the context of the caller's own kubeconfig is never used.

    Raises:
        ClusterError: it failed, or the kubeconfig is not the one that `make cluster` wrote.
    """
    check_ours()
    # Its cache of what the server can do is the cluster's own: the next cluster has the same address.
    env = {"KUBECONFIG": str(ADMIN_KUBECONFIG), "KUBECACHEDIR": str(RUN / "kubectl-cache")}
    return run("kubectl", *arguments, text=text, env=env, seconds=seconds)


def check_ours() -> None:
    """Raise a ClusterError unless the kubeconfig is this harness's, with its own server and authority."""
    try:
        cluster = json.loads(ADMIN_KUBECONFIG.read_text(encoding="utf-8"))["clusters"][0]["cluster"]
    except FileNotFoundError:
        raise ClusterError(f"there is no test cluster ({ADMIN_KUBECONFIG} is missing): run `make cluster`") from None
    except (ValueError, LookupError):
        cluster = {}
    if cluster != {"server": API_SERVER, "certificate-authority": str(AUTHORITY)}:
        raise ClusterError(f"{ADMIN_KUBECONFIG} was not written by `make cluster`: refusing to touch that cluster")


def get(*arguments: str) -> Any:
    """Return the output of ``kubectl get … -o json``."""
    return json.loads(kubectl("get", *arguments, "-o", "json"))


def read(*paths: Path) -> list[Document]:
    """Read every document of the YAML files at ``paths``, a folder's files in the order of their names."""
    files = [file for path in paths for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])]
    return [document for file in files for document in parse(file.read_text(encoding="utf-8"))]


def parse(text: str) -> list[Document]:
    """Parse the documents of a YAML stream."""
    return [document for document in yaml.load_all(text, Loader=_Loader) if document]


def kustomized(name: str, documents: list[Document], component: Path) -> list[Document]:
    """Lay ``component`` over ``documents`` with kustomize; ``name`` is for a working folder."""
    folder = RUN / "kustomized" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "documents.yaml").write_text("\n---\n".join(map(json.dumps, documents)), encoding="utf-8")
    base = {"resources": ["documents.yaml"] if documents else [], "components": [os.path.relpath(component, folder)]}
    (folder / "kustomization.yaml").write_text(json.dumps(base), encoding="utf-8")
    return parse(run("kubectl", "kustomize", folder))


def apply(documents: list[Document], seconds: float = 30) -> None:
    """Apply ``documents`` server-side, again for ``seconds`` as long as a webhook among them is not up yet.

    Raises:
        ClusterError: the API server rejects them.
    """
    if not documents:
        return
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})

    def applied() -> bool:
        kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=text)
        return True

    eventually("applying documents", applied, seconds, every=0.5)


def apply_definitions(documents: list[Document]) -> None:
    """Apply CustomResourceDefinitions, without what they say about themselves, and wait until they are served."""
    apply([_undescribed(document) for document in documents])
    names = [f"customresourcedefinition/{document['metadata']['name']}" for document in documents]

    def established() -> bool:  # kubectl fails on one that has no conditions at all yet
        kubectl("wait", "--for=condition=Established", *names, "--timeout=30s")
        return True

    eventually("new kinds are served", established, 60)


def _undescribed(schema: Any) -> Any:
    """Remove the descriptions of a definition, which the API server would hold in memory."""
    if isinstance(schema, list):
        return [_undescribed(one) for one in schema]
    if isinstance(schema, dict):  # a property may be called so as well, but that is no text
        kept = {key: one for key, one in schema.items() if not (key == "description" and isinstance(one, str))}
        return {key: _undescribed(one) for key, one in kept.items()}
    return schema


@contextmanager
def namespace(name: str) -> Iterator[str]:
    """Create a namespace for the block; wait first for the end of one that an earlier run left."""
    asked = ("get", "namespace", name, "--ignore-not-found", "--output=jsonpath={.status.phase}")
    eventually(f"namespace {name} of an earlier run is gone", lambda: kubectl(*asked) != "Terminating", 120, every=1)
    apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}])
    try:
        yield name
    finally:
        kubectl("delete", "namespace", name, "--wait=false")


def rolled_out(namespace: str, *deployments: str, seconds: float = 120) -> None:
    """Wait until every replica of ``deployments`` is ready."""
    for name in deployments:
        kubectl(
            "-n",
            namespace,
            "rollout",
            "status",
            f"deployment/{name}",
            f"--timeout={seconds:.0f}s",
            seconds=seconds + 10,
        )
