"""The containers of a service: its runtime's, with the service's own fields merged in as KServe does."""

from collections.abc import Mapping, Sequence
from typing import Any

from switchyard.local.errors import LocalError
from switchyard.local.plan import arguments
from switchyard.local.plan.render import Document

MAIN = "kserve-container"

# The fields of `predictor.model` that are not fields of a container.
_MODEL_FIELDS = frozenset({"modelFormat", "runtime", "runtimeVersion", "protocolVersion", "storageUri", "storage"})


class Index:
    """Rendered documents by kind, namespace and name."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._by_key = {
            (document["kind"], document["metadata"].get("namespace", ""), document["metadata"]["name"]): document
            for document in documents
        }

    def of_kind(self, kind: str) -> list[Document]:
        return [document for (found, _, _), document in self._by_key.items() if found == kind]

    def get(self, kind: str, namespace: str, name: str) -> Document | None:
        return self._by_key.get((kind, namespace, name))

    def data(self, kind: str, namespace: str, name: str, where: str) -> Mapping[str, str]:
        """Return the entries of a ConfigMap or Secret that ``where`` refers to, Secrets decoded.

        Raises:
            LocalError: it is not among the rendered documents.
        """
        document = self.get(kind, namespace, name)
        if document is None:
            similar = [found for known, _, found in self._by_key if known == kind and found.rpartition("-")[0] == name]
            hint = (
                f"the overlay has {similar[0]}, so kustomize's name reference does not reach this field"
                if similar
                else f"add that {kind} to the overlay"
            )
            raise LocalError(f"{where} refers to {kind} {name}, which is not rendered: {hint}")
        if kind != "Secret":
            return {key: str(value) for key, value in (document.get("data") or {}).items()}
        import base64

        coded = {key: base64.b64decode(value).decode() for key, value in (document.get("data") or {}).items()}
        return coded | dict(document.get("stringData") or {})


def public_container(containers: Sequence[Mapping[str, Any]], where: str) -> Mapping[str, Any]:
    """Return the container that takes requests: the only one, or the only one with ``ports``, as in Knative.

    Raises:
        LocalError: there is no container, or not exactly one of several has ports.
    """
    if len(containers) == 1:
        return containers[0]
    candidates = [container for container in containers if container.get("ports")]
    if len(candidates) != 1:
        names = ", ".join(str(container.get("name")) for container in candidates or containers) or "none"
        what = "several containers with ports" if candidates else "no container with ports among its containers"
        raise LocalError(f"{where} has {what}: {names}; give `ports` to the one that takes requests")
    return candidates[0]


def predictor_containers(service: Document, index: Index) -> list[Mapping[str, Any]]:
    """Merge the containers of an InferenceService: its own, or its runtime's with ``model`` and its own over them.

    ``model`` goes over the runtime's kserve-container; a container of another name goes over the runtime's of the same
    name, as KServe merges ``transformer-container`` (``predictor.go``, collocation).

    Raises:
        LocalError: the predictor names nothing to run, or no runtime fits.
    """
    metadata, predictor = service["metadata"], service["spec"]["predictor"]
    model, own = predictor.get("model"), predictor.get("containers") or []
    if model is None:
        if not own:
            raise LocalError(
                f"InferenceService {metadata['name']}: spec.predictor needs `model` or `containers`, and has neither"
            )
        return list(own)
    over = {container["name"]: container for container in own}
    if MAIN in over:
        raise LocalError(
            f"InferenceService {metadata['name']}: spec.predictor has both `model` and a {MAIN}; leave one out"
        )
    over[MAIN] = {key: value for key, value in model.items() if key not in _MODEL_FIELDS}
    templates = runtime_of(service, index)["spec"]["containers"]
    merged = [merge(template, over.pop(template["name"], {})) for template in templates]
    if MAIN in over:
        raise LocalError(f"InferenceService {metadata['name']}: its runtime has no container {MAIN}")
    return [_filled(container, metadata) for container in (*merged, *over.values())]


def _filled(container: Mapping[str, Any], metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    filled = _fill(container, metadata)
    assert isinstance(filled, dict)
    return filled


def _fill(value: object, metadata: Mapping[str, Any]) -> object:
    if isinstance(value, str):
        return arguments.fill_placeholders(value, metadata)
    if isinstance(value, Mapping):
        return {key: _fill(item, metadata) for key, item in value.items()}
    return [_fill(item, metadata) for item in value] if isinstance(value, list) else value


def runtime_of(service: Document, index: Index) -> Document:
    """Return the runtime that a service names, or the one that selects itself for its format.

    A namespaced ServingRuntime comes before a ClusterServingRuntime; among ``autoSelect`` entries the highest
    priority wins (reference: KServe, ``pkg/controller/v1beta1/inferenceservice/components/predictor.go``).

    Raises:
        LocalError: no runtime fits, or the named one is disabled, not rendered or not for this model.
    """
    metadata, model = service["metadata"], service["spec"]["predictor"]["model"]
    namespace = metadata.get("namespace", "")
    wanted, form = model.get("runtime"), (model.get("modelFormat") or {}).get("name")
    if wanted is not None:
        found = index.get("ServingRuntime", namespace, wanted) or index.get("ClusterServingRuntime", "", wanted)
        if found is None or found["spec"].get("disabled"):
            state = "is disabled" if found else "is not in the overlay; add it to its resources"
            raise LocalError(f"InferenceService {metadata['name']}: runtime {wanted} {state}")
        if fault := _mismatch(model, found["spec"]):
            raise LocalError(f"InferenceService {metadata['name']}: runtime {wanted} {fault}")
        return found
    for kind in ("ServingRuntime", "ClusterServingRuntime"):
        candidates = [
            (entry.get("priority", 0), runtime)
            for runtime in index.of_kind(kind)
            if not runtime["spec"].get("disabled")
            and (kind == "ClusterServingRuntime" or runtime["metadata"].get("namespace", "") == namespace)
            for entry in runtime["spec"].get("supportedModelFormats") or ()
            if entry.get("name") == form and entry.get("autoSelect")
        ]
        if candidates:
            return max(candidates, key=lambda candidate: candidate[0])[1]
    raise LocalError(
        f"InferenceService {metadata['name']}: no runtime in the overlay selects itself for modelFormat {form}; "
        "name one in spec.predictor.model.runtime"
    )


def _mismatch(model: Mapping[str, Any], runtime: Mapping[str, Any]) -> str:
    """Return why KServe would reject the model for this runtime, in the words that end a sentence about the runtime.

    Source: KServe, ``reconcileModel`` of the same file, with ``RuntimeSupportsModel`` (``predictor_model.go``).
    """
    form, spoken = model.get("modelFormat") or {}, runtime.get("protocolVersions") or ()
    known = [(entry.get("name"), entry.get("version")) for entry in runtime.get("supportedModelFormats") or ()]
    name, version = form.get("name"), form.get("version")
    protocol = model.get("protocolVersion")
    if protocol and spoken and protocol not in spoken:
        return f"speaks {', '.join(spoken)}, not protocolVersion {protocol}; KServe would reject it"
    if not any(name == one and version in (None, other) for one, other in known):
        formats = ", ".join(" ".join(filter(None, pair)) for pair in known) or "none"
        asked = " ".join(filter(None, (name, version)))
        return f"takes the formats {formats}, not modelFormat {asked}; KServe would reject it, so name one of them"
    return ""


def merge(template: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Merge a service's fields over a runtime's container.

    KServe's ``MergeRuntimeContainers`` is a strategic merge patch in which args are concatenated, runtime first.
    """
    merged = _merge_maps(template, own)
    # Args are the exception to the merge: a service adds flags to its runtime's.
    merged["args"] = [*(template.get("args") or ()), *(own.get("args") or ())]
    for field, key in (("env", "name"), ("ports", "containerPort"), ("volumeMounts", "mountPath")):
        merged[field] = _merge_lists(template.get(field) or (), own.get(field) or (), key)
    return merged


def _merge_maps(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        if value is None:  # absent for Go's decoder: it removes nothing of the runtime's
            continue
        known = merged.get(key)
        both = isinstance(known, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge_maps(known, value) if both and known is not None else value
    return merged


def _merge_lists(under: Sequence[Mapping[str, Any]], over: Sequence[Mapping[str, Any]], key: str) -> list[Any]:
    entries = {entry.get(key): entry for entry in under}
    entries.update((entry.get(key), entry) for entry in over)
    return list(entries.values())


def environment(container: Mapping[str, Any], index: Index, namespace: str, where: str) -> dict[str, str]:
    """Return the variables of a container: ``envFrom`` in order, then ``env``, with ``$(NAME)`` not yet expanded.

    Raises:
        LocalError: a ConfigMap, Secret or key is not rendered, or a value comes from the cluster.
    """
    env: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            reference = source.get(field)
            if reference is None or (reference.get("optional") and not index.get(kind, namespace, reference["name"])):
                continue
            data = index.data(kind, namespace, reference["name"], f"{where}, envFrom")
            env.update((f"{source.get('prefix', '')}{key}", value) for key, value in data.items())
    for entry in container.get("env") or ():
        value = _value(entry, index, namespace, where)
        if value is not None:
            env[entry["name"]] = value
    return env


def _value(entry: Mapping[str, Any], index: Index, namespace: str, where: str) -> str | None:
    source = entry.get("valueFrom")
    if source is None:
        return str(entry.get("value", ""))
    for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        if (reference := source.get(field)) is None:
            continue
        if reference.get("optional") and not index.get(kind, namespace, reference["name"]):
            return None
        data = index.data(kind, namespace, reference["name"], f"{where}, env {entry['name']}")
        if reference["key"] in data:
            return data[reference["key"]]
        if reference.get("optional"):
            return None
        raise LocalError(f"{where}, env {entry['name']}: {kind} {reference['name']} has no key {reference['key']}")
    raise LocalError(
        f"{where}, env {entry['name']}: valueFrom {', '.join(source)} exists only in a cluster; give a value"
    )
