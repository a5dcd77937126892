"""Our dev overlay in the cluster: images, volumes, and what this machine needs to be different (./overlay)."""

import json
import os
import re
import shutil
from pathlib import Path

from tools.cluster.kubernetes import kubectl
from tools.cluster.kubernetes.kubectl import Document
from tools.cluster.machine.layout import CONTAINERD_BLOBS, CONTAINERD_SOCKET, OVERLAY, REPOSITORY, RUN
from tools.cluster.machine.shell import ClusterError, eventually, run
from tools.cluster.software import images
from tools.images.__main__ import PREFIX

NAMESPACE = "switchyard-dev"
# Who writes to a volume and what is in it before: a folder of the host takes no fsGroup, and Triton wants its folder.
_VOLUMES = {"redis": (999, ()), "model-repository-published": (65532, ("vision", "llm"))}
_FIRST_START_SECONDS = 600
_OURS = ("platform", "router", "repository", "predictor", "triton")


def import_images() -> dict[str, str]:
    """Build our images and import what the node lacks of them; returns each one's name by what it is for."""
    result = RUN / "images.json"
    ctr = f"ctr --address {CONTAINERD_SOCKET} --namespace k8s.io"
    run(
        REPOSITORY / ".venv/bin/python",
        "-m",
        "tools.images",
        *_OURS,
        "--import-with",
        ctr,
        "--share-with",
        CONTAINERD_BLOBS,
        "--result",
        result,
        cwd=REPOSITORY,
    )
    names = {name: image["image"] for name, image in json.loads(result.read_text(encoding="utf-8")).items()}
    version = re.search(r"v=(\S+)", run("redis-server", "--version"))
    if version is None:
        raise ClusterError("`redis-server --version` tells no version")
    names["redis"] = f"dev.local/redis:{version[1]}"
    images.add_linked(names["redis"], "redis-server", "redis-cli")
    return names


def documents(names: dict[str, str]) -> list[Document]:
    """Render the overlay's documents for this cluster, with the images in ``names``."""
    folder = RUN / "overlay"
    folder.mkdir(parents=True, exist_ok=True)
    upstream = {"redis": "redis"} | {f"switchyard/{name}": name for name in _OURS}
    replaced = []
    for image, name in upstream.items():
        new_name, _, tag = names[name].rpartition(":")
        replaced.append({"name": image, "newName": new_name, "newTag": tag})
    base = {"resources": [os.path.relpath(OVERLAY, folder)], "images": replaced}
    (folder / "kustomization.yaml").write_text(json.dumps(base), encoding="utf-8")
    made = kubectl.parse(run("kubectl", "kustomize", folder))
    for document in made:
        if document["kind"] == "PersistentVolume":
            document["spec"]["hostPath"]["path"] = str(_folder_of(document["metadata"]["name"]))
    return made


def up(names: dict[str, str]) -> None:
    """Apply the overlay; returns when the gateway is ready, while models still start for the first time."""
    kubectl.apply(documents(names))
    kubectl.rolled_out(NAMESPACE, "gateway")


def wait() -> None:
    """Wait until every service and graph is Ready as it is now described, for which it has to start once."""
    for kind in ("inferenceservices", "inferencegraphs"):
        waiting = ("wait", "--for=condition=Ready", kind, "--all", f"--timeout={_FIRST_START_SECONDS}s")
        kubectl.kubectl("--namespace", NAMESPACE, *waiting, seconds=_FIRST_START_SECONDS + 10)
    eventually("the newest revisions serve", _newest_serve, _FIRST_START_SECONDS, every=1)


def remove_old_images(names: dict[str, str]) -> None:
    """Remove what earlier versions of our code left on the node, where nothing else removes an image."""
    images.remove_others(PREFIX, names.values())


def _newest_serve() -> bool:
    statuses = [one["status"] for one in kubectl.get("services.serving.knative.dev", "-n", NAMESPACE)["items"]]
    return all(status.get("latestReadyRevisionName") == status.get("latestCreatedRevisionName") for status in statuses)


def _folder_of(volume: str) -> Path:
    if volume == "model-repository":
        return REPOSITORY / "model-repository"
    folder = RUN / "volumes" / volume
    user, inner = _VOLUMES[volume]
    for path in (folder, *(folder / name for name in inner)):
        path.mkdir(parents=True, exist_ok=True)
        shutil.chown(path, user, user)
    return folder
