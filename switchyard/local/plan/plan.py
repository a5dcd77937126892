"""Plans the processes of rendered documents; pure, so that a plan can be tested and printed without running it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from switchyard import catalog
from switchyard.local.errors import LocalError
from switchyard.local.plan import arguments, containers, fields, graphs, references, scale, volumes
from switchyard.local.plan.render import Document
from switchyard.local.plan.stores import Stores
from switchyard.local.plan.workloads import STOP, Command, Deployment, Options, Plan, Service

GATEWAY = "gateway"

_NAME_LABEL = "app.kubernetes.io/name"
_PYTHON = ("python", "python3")


def plan(documents: Sequence[Document], options: Options) -> Plan:
    """Plan the processes of an overlay.

    Raises:
        LocalError: local mode does not know a field, or a document does not say what to run.
    """
    fields.require_known(documents)
    references.require_none(references.dangling_urls(documents))
    index = containers.Index(documents)
    services = (
        *(_service(document, index, options) for document in index.of_kind("InferenceService")),
        *(graphs.service(document, index, options) for document in index.of_kind("InferenceGraph")),
    )
    deployments = tuple(
        _deployment(document, index, options)
        for document in index.of_kind("Deployment")
        if document["spec"].get("replicas", 1) > 0
    )
    _require_unique([*(item.name for item in services), *(item.name for item in deployments)])
    return Plan(services=services, deployments=deployments)


def plan_service(document: Document, documents: Sequence[Document], options: Options) -> Service:
    """Plan one more InferenceService by the runtimes and settings of an overlay, whose ``documents`` are planned.

    Raises:
        LocalError: local mode does not know a field, or the overlay has no runtime for it.
    """
    fields.require_known([document])
    return _service(document, containers.Index([*documents, document]), options)


def _require_unique(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise LocalError(f"{', '.join(twice)}: two documents of the overlay have this name; local mode needs it once")


def _service(document: Document, index: containers.Index, options: Options) -> Service:
    metadata, predictor = document["metadata"], document["spec"]["predictor"]
    name = metadata["name"]
    try:
        model = catalog.describe(document, url="")
    except catalog.CatalogError as err:
        raise LocalError(str(err)) from err
    found = containers.predictor_containers(document, index)
    where = f"InferenceService {name}"
    public = containers.public_container(found, where)
    storage = _storage(predictor, found, options)
    read = scale.read(metadata, predictor)
    annotations = {**(metadata.get("annotations") or {}), **(predictor.get("annotations") or {})}
    pod = predictor if "model" not in predictor else _runtime_pod(document, index, predictor)

    def command(container: Mapping[str, Any]) -> Command:
        return _command(
            where,
            metadata,
            pod,
            container,
            index=index,
            options=options,
            public=container is public,
            mounts={volumes.MODEL_MOUNT: str(storage.folder)} if storage.folder else {},
            env={"INFERENCE_SERVICE_NAME": name},
            grace=read.timeout,
        )

    return Service(
        name=name,
        namespace=metadata.get("namespace", ""),
        model=model,
        command=command(public),
        sidecars=tuple(command(container) for container in found if container is not public),
        scale=read,
        model_dir=storage.folder,
        source_dir=storage.source,
        hosts=catalog.hosts_repository(document),
        problem=storage.problem,
        stopped=str(annotations.get(STOP, "false")).lower() == "true",
    )


def _storage(predictor: Mapping[str, Any], found: Sequence[Mapping[str, Any]], options: Options) -> volumes.Storage:
    own = {item["name"]: item.get("value") for container in found for item in container.get("env") or ()}
    uri = (predictor.get("model") or {}).get("storageUri") or own.get("STORAGE_URI")
    return volumes.model_storage(uri, options.claims, options.published)


def _runtime_pod(document: Document, index: containers.Index, predictor: Mapping[str, Any]) -> Mapping[str, Any]:
    runtime = containers.runtime_of(document, index)["spec"]
    return {"volumes": [*(runtime.get("volumes") or ()), *(predictor.get("volumes") or ())]}


def _deployment(document: Document, index: containers.Index, options: Options) -> Deployment:
    metadata, pod = document["metadata"], document["spec"]["template"]["spec"]
    name = metadata["name"]
    command = _command(
        f"Deployment {name}",
        metadata,
        pod,
        _only_container(pod["containers"], f"Deployment {name}"),
        index=index,
        options=options,
        public=True,
        mounts={},
        env={"SWITCHYARD_CATALOG": str(options.state / "catalog.json")},  # in place of a watch of the API server
        grace=float(pod.get("terminationGracePeriodSeconds", 30)),
    )
    gateway = GATEWAY in (name, (metadata.get("labels") or {}).get(_NAME_LABEL))
    if gateway:  # on one machine the gateway's store is a file; a URL of the documents' own stays
        store = f"sqlite://{quote(str(options.state / 'ledger.db'))}"
        kept = {"SWITCHYARD_STORE": store, "SWITCHYARD_FILES": str(options.state.absolute() / "files")}
        command = _with_tls(replace(command, env={**kept, **command.env}), options.gateway_tls)
    if gateway and options.gateway_port is not None:
        command = _moved(command, options.gateway_port)
    return Deployment(name=name, command=command, gateway=gateway)


def _with_tls(command: Command, files: tuple[Path, Path] | None) -> Command:
    """Return the gateway's command with these files of TLS, or with those of the documents, if any."""
    env = dict(command.env)
    if files is not None:
        env["TLS_CERT_FILE"], env["TLS_KEY_FILE"] = map(str, files)
    if not env.get("TLS_CERT_FILE"):
        return command
    return replace(command, env=env, probe="tcp" if env.get("TLS_CLIENT_CA_FILE") else "https")


def _moved(command: Command, port: int) -> Command:
    """Return the command with ``port`` as its HTTP port; its other ports keep their distance to that one."""
    ports = {old: old + port - command.http_port for old in command.ports}
    if wrong := [new for new in ports.values() if not 0 < new < arguments.PORTS]:
        raise LocalError(f"with port {port}, {command.name} would also need port {wrong[0]}, which does not exist")
    return replace(
        command,
        argv=arguments.bind(command.argv, ports),
        env={key: arguments.rebase(value, ports) for key, value in command.env.items()},
        http_port=port,
        ports=frozenset(ports.values()),
    )


def _only_container(found: Sequence[Mapping[str, Any]], where: str) -> Mapping[str, Any]:
    if len(found) != 1:
        names = ", ".join(str(container.get("name")) for container in found) or "none"
        raise LocalError(f"{where} has containers: {names}; local mode runs exactly one of a Deployment")
    return found[0]


def _command(
    where: str,
    metadata: Mapping[str, Any],
    pod: Mapping[str, Any],
    container: Mapping[str, Any],
    *,
    index: containers.Index,
    options: Options,
    public: bool,
    mounts: Mapping[str, str],
    env: Mapping[str, str],
    grace: float,
) -> Command:
    name, namespace = metadata["name"], metadata.get("namespace", "")
    program = list(container.get("command") or ())
    if not program:
        raise LocalError(
            f"{where}: its container has no command, and local mode runs no image; write the image's command there"
        )
    home = options.state / "workloads" / name
    volume = volumes.of_pod(pod, container, index=index, namespace=namespace, home=home, claims=options.claims)
    here = {**volume.mounts, **mounts}
    stores = Stores(index, namespace, options.state)
    variables = {
        key: stores.localize(value) for key, value in containers.environment(container, index, namespace, where).items()
    }

    def localize(text: str) -> str:
        return arguments.replace_paths(arguments.expand_references(text, variables), here)

    argv = [localize(str(part)) for part in (*program, *(container.get("args") or ()))]
    # The interpreter that runs this, because the one on PATH may lack the predictors' packages.
    argv[0] = options.python if argv[0] in _PYTHON else argv[0]
    http_port = arguments.port_of(argv)
    if public and http_port is None:
        raise LocalError(f"{where}: no --http_port or --port among its args, so local mode cannot choose its port")
    return Command(
        name=name if public else f"{name}.{container['name']}",
        argv=tuple(argv),
        env={**{key: localize(value) for key, value in variables.items()}, **env},
        cwd=options.root,
        readiness=_readiness(container, http_port, where) if public and http_port else "",
        http_port=http_port or 0,
        grpc=_takes_grpc(container, http_port),
        ports=arguments.ports_of(argv),
        grace=grace,
        files=volume.files,
        folders=volume.folders,
    )


def _takes_grpc(container: Mapping[str, Any], http_port: int | None) -> bool:
    """Return whether the HTTP port takes HTTP/2, and with it gRPC: Knative tells by its name (cluster/objects.py)."""
    ports = container.get("ports") or ()
    return any(port.get("name") == "h2c" and port["containerPort"] == http_port for port in ports)


def _readiness(container: Mapping[str, Any], http_port: int, where: str) -> str:
    probes = [(container.get(probe) or {}).get("httpGet") for probe in ("readinessProbe", "startupProbe")]
    probe = next((probe for probe in probes if probe), None)
    if probe is None or "path" not in probe:
        raise LocalError(
            f"{where}: no readinessProbe.httpGet.path; an open port does not mean that a model is loaded, so name the "
            "path that returns 200 when it is (such as /v2/models/<name>/ready)"
        )
    named = {port.get("name"): port["containerPort"] for port in container.get("ports") or ()}
    port = named.get(probe.get("port"), probe.get("port", http_port))
    if port != http_port:
        raise LocalError(f"{where}: its probe uses port {port}, but its HTTP port is {http_port}; use that one")
    return str(probe["path"])
