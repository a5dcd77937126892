"""Builds the parts of a run from its plan; ``supervise`` runs them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from switchyard.backoff import ConsecutiveFailures
from switchyard.catalog import CatalogFile, Model
from switchyard.devices.choice import Choice
from switchyard.http.client import Client
from switchyard.local.activator.listener import Listener, loopback_socket
from switchyard.local.activator.request_queue import QueueLimits
from switchyard.local.memory.measure import Meter, capacity, held_alone
from switchyard.local.memory.room import Room
from switchyard.local.observability.deployments import Observers
from switchyard.local.observability.targets import Targets
from switchyard.local.plan import arguments
from switchyard.local.plan.render import Document
from switchyard.local.plan.workloads import Deployment, Options, Plan, Service
from switchyard.local.processes import preload
from switchyard.local.processes.launch import Launcher, SpawnLauncher
from switchyard.local.processes.mounts import Mounts
from switchyard.local.processes.preload import PreloadedLauncher
from switchyard.local.processes.preload_declaration import declared
from switchyard.local.processes.start import Starter, probing_tls
from switchyard.local.processes.temporary import temporary_folder
from switchyard.local.replicas.contents import Contents
from switchyard.local.replicas.deployment import DeploymentRunner
from switchyard.local.replicas.replica import Replica
from switchyard.local.replicas.repository import JudgedModels, RepositoryHost, RepositoryModels
from switchyard.local.status.board import StatusBoard
from switchyard.local.status.run_directory import StateDirectory
from switchyard.local.supervisor.control import Control
from switchyard.local.supervisor.edits import Edits, commands
from switchyard.local.supervisor.forked import forked
from switchyard.local.supervisor.graph_decisions import Decisions
from switchyard.local.supervisor.published_models import PublishedModels, ServicePlanner
from switchyard.local.supervisor.repository_sync import NAME as SYNC
from switchyard.local.supervisor.repository_sync import sync_deployments
from switchyard.local.supervisor.services import Services
from switchyard.repository.served import ServedFile
from switchyard.telemetry import tracing
from switchyard.telemetry.metrics.local import LocalMetrics
from switchyard.telemetry.process import registry_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How to run a plan; each step of a stop takes at most ``grace`` seconds.

    ``rendered`` is the fingerprint of the ``documents`` of ``overlay`` that were planned; ``device`` is what models run
    on; ``observers`` are None where nothing observes the run.
    """

    options: Options
    directory: StateDirectory
    environ: Mapping[str, str]
    device: Choice
    overlay: Path
    documents: Sequence[Document]
    rendered: str
    run_id: str
    observers: Observers | None = None
    preloading: bool = True
    grace: float = 30.0
    limits: QueueLimits = QueueLimits()  # noqa: RUF009  (frozen)


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """The parts of a run."""

    board: StatusBoard
    services: Services
    deployments: Mapping[str, DeploymentRunner]
    observers: Sequence[DeploymentRunner]
    preload: PreloadedLauncher | None
    repository_models: Sequence[RepositoryModels | JudgedModels]
    published_models: Sequence[PublishedModels]
    control: Listener
    client: Client
    control_port: int


async def assemble(plan: Plan, settings: Settings, on_edits: Callable[[str], None]) -> Parts:
    """Build the parts of ``plan``; ``on_edits`` is told the fingerprint of an edit it took."""
    registry = registry_of("supervisor")
    metrics, client = LocalMetrics(registry), Client(tls=probing_tls())
    file = CatalogFile(settings.directory.catalog)
    board = StatusBoard(served={}, names=(), file=file, metrics=metrics, root=settings.options.root)
    planner = ServicePlanner(settings.documents, settings.options)
    preloaded = _preload(plan, planner, settings, board)
    mounts, hosts = Mounts(commands(plan)), dict[str, str]()
    starter = _starter(preloaded or SpawnLauncher(), client, mounts, settings, hosts)
    make = _replicas(starter, client, board, metrics, settings, _room(settings, board))
    tracer = tracing.configure("activator")
    services = Services(replica=make, hosts=hosts, board=board, metrics=metrics, client=client, tracer=tracer)
    socket = loopback_socket()
    control_port = int(socket.getsockname()[1])
    observers = _observers(plan, settings, arguments.loopback_url(control_port))
    observed = settings.observers
    declared = map(observed.admitted, plan.deployments) if observed else plan.deployments
    deployments = [*declared, *sync_deployments(plan, settings.options)]
    models = {service.name: await services.add(service) for service in plan.services}
    for name in (*(one.name for one in [*deployments, *observers]), *([preload.NAME] if preloaded else [])):
        board.add(name)
    for name in (*board.entries, *(command.name for command in commands(plan))):
        settings.directory.log(name).touch()  # so that it can be followed before the first start
    steps = {service.name: services.queues[service.name] for service in plan.services if service.model.kind == "step"}
    edits = Edits(plan, settings.overlay, settings.options, mounts, settings.directory.log, on_edits)
    handler = Control(
        board=board,
        queues=lambda: services.queues,
        decisions=Decisions(steps, client),
        registry=registry,
        take_edits=edits.take,
        targets=_targets(board, services, deployments, starter, control_port),
        relay=observed.relay() if observed else None,
    )
    control = Listener(handler.handle)
    await control.listen(socket)
    runner = partial(_runner, starter, board, settings)
    return Parts(
        board=board,
        services=services,
        deployments={one.name: runner(one) for one in deployments},
        observers=[runner(one) for one in observers],
        preload=preloaded,
        repository_models=_repository_models(plan, models, settings.options, board),
        published_models=_published_models(plan, planner, settings.options, services, board),
        control=control,
        client=client,
        control_port=control_port,
    )


def _runner(starter: Starter, board: StatusBoard, settings: Settings, deployment: Deployment) -> DeploymentRunner:
    log = settings.directory.log(deployment.name)
    return DeploymentRunner(deployment, starter=starter, board=board, log=log, grace=settings.grace)


def _targets(
    board: StatusBoard, services: Services, deployments: Sequence[Deployment], starter: Starter, control_port: int
) -> Targets:
    """Build what tells Prometheus where metrics are; of other Deployments nobody knows whether they have any."""
    jobs = {"gateway" if one.gateway else one.name: one for one in deployments}
    return Targets(
        entries=board.entries,
        services=lambda: services.planned,
        deployments={job: one for job, one in jobs.items() if job in ("gateway", SYNC)},
        address_of=starter.address_of,
        control=f"{arguments.LOOPBACK}:{control_port}",
    )


def _observers(plan: Plan, settings: Settings, control: str) -> Sequence[Deployment]:
    if settings.observers is None:
        return ()
    settings.observers.require_names([*(one.name for one in plan.services), *(one.name for one in plan.deployments)])
    return settings.observers.deployments(control)


def _repository_models(
    plan: Plan, models: Mapping[str, Model], options: Options, board: StatusBoard
) -> list[RepositoryModels | JudgedModels]:
    """Build what keeps the catalog in step with the repositories that services host."""
    found: list[RepositoryModels | JudgedModels] = []
    for service in plan.services:
        if not service.hosts or service.model_dir is None:
            continue
        model, folder = models[service.name], service.model_dir
        claim = next((name for name, published in options.published.items() if folder == published / "vision"), "")
        if claim:
            host = RepositoryHost(model=model, folder=options.claims[claim] / "vision")
            found.append(JudgedModels(host, options.published[claim], board=board))
        else:
            found.append(RepositoryModels([RepositoryHost(model=model, folder=folder)], board=board))
    return found


def _published_models(
    plan: Plan, planner: ServicePlanner, options: Options, services: Services, board: StatusBoard
) -> list[PublishedModels]:
    return [
        PublishedModels(folder, declared=plan.services, planner=planner, services=services, board=board)
        for folder in options.published.values()
    ]


def _room(settings: Settings, board: StatusBoard) -> Room:
    """Build the memory that models share: the device's, or this machine's with what else of the run is in it."""
    device, meter = settings.device.device, Meter()
    total = capacity(settings.environ, device.memory)
    if device.kind == "cuda":
        return Room(total)

    def others() -> Mapping[str, int]:
        # Alone: the models that it has forked are its children.
        entry = board.entries.get(preload.NAME)
        return {preload.NAME: held_alone(entry.pid)} if entry is not None and entry.pid else {}

    return Room(total, others, meter.held)


def _replicas(
    starter: Starter, client: Client, board: StatusBoard, metrics: LocalMetrics, settings: Settings, room: Room
) -> Callable[[Service, Service | None], Replica]:
    files = {published / "llm": ServedFile(published) for published in settings.options.published.values()}

    def replica(service: Service, before: Service | None) -> Replica:
        file = files.get(service.model_dir.parent) if service.model_dir else None
        return Replica(
            service,
            contents=Contents(service, file, before),
            starter=starter,
            client=client,
            board=board,
            metrics=metrics,
            logs=[settings.directory.log(command.name) for command in (service.command, *service.sidecars)],
            room=room,
            limits=settings.limits,
            grace=settings.grace,
        )

    return replica


def _starter(
    launcher: Launcher, client: Client, mounts: Mounts, settings: Settings, hosts: Mapping[str, str]
) -> Starter:
    return Starter(
        launcher=launcher,
        client=client,
        mounts=mounts,
        logs=settings.directory.log,
        run_id=settings.run_id,
        base=settings.environ,
        hosts=hosts,
    )


def _preload(plan: Plan, planner: ServicePlanner, settings: Settings, board: StatusBoard) -> PreloadedLauncher | None:
    """Build the preloaded parent, which has a row of its own on the board; None if it would import nothing."""
    options = settings.options
    environments = forked(plan.services, planner, options) if settings.preloading else {}
    preloads = declared(environments, options.root)
    if not preloads:
        return None
    # Variables that all of these services share are set for the imports too: some libraries read them only then.
    every = [set(env.items()) for module in preloads for env in environments[module]]
    path = temporary_folder(settings.run_id) / "preload.sock"
    base = Starter.environment(settings.environ, settings.run_id)

    def on_pid(pid: int) -> None:
        board.starting(preload.NAME, "crash" if board.entries[preload.NAME].starts else "always-on")
        board.launched(preload.NAME, pid)

    def on_ready(seconds: float) -> None:
        board.phase(preload.NAME, "import", seconds)
        board.set(preload.NAME, "ready")

    return PreloadedLauncher(
        spawn=SpawnLauncher(),
        preloads=preloads,
        python=options.python,
        socket=path,
        spec=preload.launch_spec(
            python=options.python,
            socket=path,
            preloads=preloads,
            env=base | dict(set.intersection(*every)),
            root=options.root,
            log=settings.directory.log(preload.NAME),
        ),
        failures=ConsecutiveFailures(),
        on_pid=on_pid,
        on_ready=on_ready,
        on_end=lambda reason: board.set(preload.NAME, "failed", reason),
    )
