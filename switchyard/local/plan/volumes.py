"""The folders of this machine for a pod's volumes and for the model of ``storageUri``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, get_args

from switchyard.local.errors import LocalError
from switchyard.local.plan.containers import Index
from switchyard.local.program import program, shown
from switchyard.repository.verdict import Group

MODEL_MOUNT = "/mnt/models"
HUB = "hub"  # folder of a claim for models from Hugging Face; git ignores it in the model repository


@dataclass(frozen=True, kw_only=True, slots=True)
class Volumes:
    """Where mount paths are on this machine, and the files and folders to create before the process starts."""

    mounts: Mapping[str, str]
    files: Mapping[Path, str]
    folders: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Storage:
    """The folder of ``storageUri`` on this machine, or the reason why there is none.

    ``source`` is where people put what is in it.
    """

    folder: Path | None = None
    source: Path | None = None
    problem: str = ""


def model_storage(uri: str | None, claims: Mapping[str, Path], published: Mapping[str, Path] | None = None) -> Storage:
    """Return the folder of a service's model; local mode downloads nothing.

    ``published`` has, by claim, where the repository's models lie that were judged, in place of the claim's own folder.
    """
    if uri is None:
        return Storage()
    scheme, _, rest = uri.partition("://")
    claim, _, path = rest.partition("/")
    if scheme == "pvc" and claim in claims:
        folder = (claims[claim] / path).resolve()
        # Resolved first: `..` and links must not lead a service to the files of another one.
        if not folder.is_relative_to(claims[claim].resolve()):
            return Storage(problem=f"storageUri {uri} points outside the claim {claim}; name a folder inside it")
        judged = published_folder(path, published[claim]) if published and claim in published else None
        return Storage(folder=judged or folder, source=folder)
    here = ", ".join(f"pvc://{name}/<folder> for {folder}/<folder>" for name, folder in claims.items())
    advice = f"put the model in a folder and use {here}"
    if scheme == "hf" and claims:
        # By its name at the hub: a folder of the service's name may hold the model that git brings.
        claim, model, revision = next(iter(claims)), *rest.partition(":")[::2]
        fetch = f"{program('hf')} download {model}{f' --revision {revision}' if revision else ''}"
        advice = (
            f"get the model by `{fetch} --local-dir {shown(claims[claim] / HUB / model)}`, set storageUri: "
            f"pvc://{claim}/{HUB}/{model} in the overlay, and run `{program()} down` and `up` again"
        )
    return Storage(problem=f"storageUri {uri}: local mode downloads nothing; {advice}")


def published_folder(path: str, published: Path) -> Path | None:
    """Return the published folder of a path in the claim, None for one that holds no models which are judged.

    Such are ``vision``, a repository as a whole, and ``llm/<name>``, one model. The last part is a link that whoever
    publishes replaces, so it is not resolved here.
    """
    group, *model = PurePosixPath(path).parts or ("",)
    if group not in get_args(Group) or len(model) != (0 if group == "vision" else 1):
        return None
    return published.joinpath(group, *model)


def of_pod(
    pod: Mapping[str, Any],
    container: Mapping[str, Any],
    *,
    index: Index,
    namespace: str,
    home: Path,
    claims: Mapping[str, Path],
) -> Volumes:
    """Map a container's ``volumeMounts`` to this machine; volumes that are not claims are below ``home``.

    Raises:
        LocalError: a mount names no volume, or a volume refers to a ConfigMap or Secret that is not rendered.
    """
    volumes = {volume["name"]: volume for volume in pod.get("volumes") or ()}
    mounts: dict[str, str] = {}
    files: dict[Path, str] = {}
    folders: list[Path] = []
    for mount in container.get("volumeMounts") or ():
        if mount["name"] not in volumes:
            raise LocalError(f"volumeMount {mount['name']} of container {container.get('name')} names no volume")
        volume = volumes[mount["name"]]
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        folder = claims.get(claim, home / "claims" / claim) if claim else home / "volumes" / mount["name"]
        folders.append(folder)
        for name, text in _entries(volume, index, namespace).items():
            files[folder / name] = text
        mounts[mount["mountPath"].rstrip("/")] = str(folder / mount.get("subPath", ""))
    return Volumes(mounts=mounts, files=files, folders=tuple(folders))


def _entries(volume: Mapping[str, Any], index: Index, namespace: str) -> Mapping[str, str]:
    for field, kind, key in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
        source = volume.get(field)
        if source is None or (source.get("optional") and not index.get(kind, namespace, source[key])):
            continue
        data = index.data(kind, namespace, source[key], f"volume {volume['name']}")
        items: Sequence[Mapping[str, str]] | None = source.get("items")
        return data if items is None else {item["path"]: data[item["key"]] for item in items}
    return {}
