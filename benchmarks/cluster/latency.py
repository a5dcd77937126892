"""``python -m benchmarks.cluster.latency``: what a cluster's hops add to a request, against the same programs outside.

Outside: a gateway and a predictor as processes, with the arguments and settings of those in the cluster, and nothing
between them: local mode's activator is left out, as Knative's is in the cluster. Inside: gateway, ingress, queue-proxy
and predictor, each asked directly too, so that a hop's share is its time less that of the hop after it. The request is
for a short text's tokens, which a predictor answers in about a millisecond, always. All doors are asked in turn, over a
connection each. Each round is made twice: without the activator, by an annotation of the revision that makes no new pod
and is taken away again, and with it, as Knative does by default while a revision has few pods.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import uvloop

from benchmarks.cluster import pods
from benchmarks.cluster.pods import MODEL_CONTAINER, QUEUE_CONTAINER, Document
from benchmarks.load import Load, Request, steady
from benchmarks.models.predictor import ENV
from benchmarks.processes import ROOT, Command, Tree, free_port
from benchmarks.report import Figure, publish
from switchyard.catalog import Catalog, CatalogFile, Model, State
from tests.cluster.client import Cluster
from tools.cluster.kubernetes import kubectl
from tools.cluster.machine.shell import eventually
from tools.cluster.platform.dev_overlay import NAMESPACE

MODEL = "embed"
GATEWAY_PODS = "app.kubernetes.io/name=gateway"
PATH = "/tokenize"
BODY = json.dumps({"model": MODEL, "prompt": "How many apples does Ana have?"}).encode()
RATE = 10.0  # requests a second at each door: none waits for another
SETTLE_SECONDS = 2.0
BURST = "autoscaling.knative.dev/target-burst-capacity"  # 0: the activator is in the path at zero pods only

# Doors in the order in which a request passes them.
GATEWAY, INGRESS, QUEUE, POD = "gateway", "ingress", "queue-proxy", "predictor"
OUTSIDE, PROCESS = "gateway outside", "predictor outside"
ACTIVATOR = "activator"
# How many of the requests of a turn, one at each door, pass each process.
PASSED = {GATEWAY: 1, INGRESS: 2, ACTIVATOR: 2, QUEUE: 3, POD: 4, OUTSIDE: 1, PROCESS: 2}


@dataclass(frozen=True, slots=True)
class Door:
    """Where a request can be put, and who answers there."""

    request: Request
    process: Tree


@dataclass(frozen=True, slots=True)
class Inside:
    """The cluster's doors; ``pod`` is the model's."""

    pod: Document
    doors: Mapping[str, Door]
    activator: Tree


@dataclass(frozen=True, slots=True)
class Turn:
    """What one measurement found: milliseconds at each door, and of processor time in each process per request."""

    ms: Mapping[str, float]
    cpu_ms: Mapping[str, float]


def argv_outside(container: Document, replaced: Mapping[str, object]) -> list[str]:
    """A container's command line for this interpreter, with other values for some of its flags."""
    python, *module = container["command"]
    if python != "python":
        raise ValueError(f"container {container['name']} runs {python!r}, not python: it cannot be run outside")
    flags = [(flag, flag.partition("=")[0]) for flag in container["args"]]
    return [
        sys.executable,
        *module,
        *(f"{name}={replaced[name]}" if name in replaced else flag for flag, name in flags),
    ]


def shares(ms: Mapping[str, float]) -> dict[str, float]:
    """What each process adds to a request, in milliseconds; both ways' shares sum up to their gateway's time."""
    return {
        GATEWAY: ms[GATEWAY] - ms[INGRESS],
        INGRESS: ms[INGRESS] - ms[QUEUE],
        QUEUE: ms[QUEUE] - ms[POD],
        POD: ms[POD],
        OUTSIDE: ms[OUTSIDE] - ms[PROCESS],
        PROCESS: ms[PROCESS],
    }


def at(base: str, path: str, host: str = "") -> Request:
    """The request at ``base``, for the virtual ``host`` if one is named."""
    request = Request.post(base + path, BODY)
    if host:
        request = replace(Request.post(f"http://{host}{path}", BODY), host=request.host, port=request.port)
    return request


def inside() -> Inside:
    """Wakes the model and finds every process between the gateway and it."""
    cluster = Cluster()
    with cluster.client() as client:
        client.post(PATH, content=BODY, headers={"content-type": "application/json"}).raise_for_status()
    pod = pods.serving(f"serving.kserve.io/inferenceservice={MODEL}")
    gateway = pods.serving(GATEWAY_PODS)
    ingress = kubectl.get("service", "kourier-internal", "--namespace", "kourier-system")
    carrier = pods.serving("app=ingress", "kourier-system")
    activator = pods.serving("app=activator", "knative-serving")
    address, own = pod["status"]["podIP"], "/openai" + PATH
    told = {one["name"]: one.get("value") for one in pods.container(pod, QUEUE_CONTAINER)["env"]}
    requests = {
        GATEWAY: at(cluster.url, PATH),
        INGRESS: at(f"http://{ingress['spec']['clusterIP']}", own, f"{MODEL}-predictor.{NAMESPACE}.svc.cluster.local"),
        QUEUE: at(f"http://{address}:{told['QUEUE_SERVING_PORT']}", own),
        POD: at(f"http://{address}:{told['USER_PORT']}", own),
    }
    found = pods.processes(pod, gateway, carrier, activator)
    names = {GATEWAY: "gateway", INGRESS: "ingress", QUEUE: QUEUE_CONTAINER, POD: MODEL_CONTAINER}
    return Inside(pod, {door: Door(requests[door], found[name]) for door, name in names.items()}, found["activator"])


@contextmanager
def outside(pod: Document) -> Iterator[dict[str, Door]]:
    """The same predictor and the same gateway as processes of this machine."""
    model = pods.container(pod, MODEL_CONTAINER)
    gateway = pods.container(pods.serving(GATEWAY_PODS), "gateway")
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, ports = Path(name), [free_port() for _ in range(4)]
        here = {"--model_dir": ROOT / "model-repository" / "llm" / MODEL}
        argv = argv_outside(model, {**here, "--http_port": ports[0], "--grpc_port": ports[1]})
        predictor = Command(argv, folder / "predictor.log", {**pods.settings(model), **ENV})
        stack.callback(predictor.stop)
        url = f"http://127.0.0.1:{ports[0]}"
        entry = Model(name=MODEL, kind="embedding", url=url, state=State(phase="ready"))
        CatalogFile(folder / "catalog.json").replace(Catalog({MODEL: entry}))
        argv = argv_outside(gateway, {"--host": "127.0.0.1", "--http_port": ports[2], "--grpc_port": ports[3]})
        env = {**pods.settings(gateway), "SWITCHYARD_CATALOG": str(folder / "catalog.json")}
        door = Command(argv, folder / "gateway.log", env)
        stack.callback(door.stop)
        predictor.wait_for(f"{url}/v2/models/{MODEL}/ready")
        door.wait_for(f"http://127.0.0.1:{ports[2]}/readyz")
        yield {
            OUTSIDE: Door(at(f"http://127.0.0.1:{ports[2]}", PATH), door.tree),
            PROCESS: Door(at(url, "/openai" + PATH), predictor.tree),
        }


@contextmanager
def without_activator(pod: Document) -> Iterator[None]:
    """Keeps Knative's activator out of the way to ``pod``, which must stay awake, and puts it back."""
    revision, address = pod["metadata"]["labels"]["serving.knative.dev/revision"], pod["status"]["podIP"]

    def leads_to_pod() -> bool:
        label = f"kubernetes.io/service-name={revision}"
        slices = kubectl.get("endpointslices", "--namespace", NAMESPACE, "--selector", label)["items"]
        return any(address in one["addresses"] for part in slices for one in part["endpoints"] or ())

    def annotate(change: str) -> None:
        kubectl.kubectl("annotate", "--namespace", NAMESPACE, f"revisions.serving.knative.dev/{revision}", change)

    try:
        annotate(f"{BURST}=0")
        eventually(f"the Service of {revision} leads to its pod", leads_to_pod, 30, every=0.5)
        yield
    finally:
        annotate(f"{BURST}-")
        eventually(f"the Service of {revision} leads to the activator", lambda: not leads_to_pod(), 30, every=0.5)


def turn(doors: Mapping[str, Door], activator: Tree, *, seconds: float, backwards: bool) -> Turn:
    """Asks at every door for ``seconds``, after a while that opens connections and does not count."""
    names = sorted(doors, reverse=backwards)
    requests = [doors[name].request for name in names]
    uvloop.run(steady(requests, RATE, SETTLE_SECONDS))
    processes = {**{name: door.process for name, door in doors.items()}, ACTIVATOR: activator}
    before = {name: process.cpu_ms() for name, process in processes.items()}
    loads: list[Load] = uvloop.run(steady(requests, RATE, seconds))
    used = {name: process.cpu_ms() - before[name] for name, process in processes.items()}
    return Turn(
        ms={name: load.median_ms for name, load in zip(names, loads, strict=True)},
        cpu_ms={name: cpu / (loads[0].answers * PASSED[name]) for name, cpu in used.items()},
    )


def added(turns: Sequence[Turn]) -> tuple[float, ...]:
    """What the cluster adds in each of ``turns``, in milliseconds."""
    return tuple(one.ms[GATEWAY] - one.ms[OUTSIDE] for one in turns)


def check_free(free: Sequence[Turn], default: Sequence[Turn]) -> None:
    """Raise a RuntimeError if the activator worked where it should have had nothing to do.

    Somebody else's requests go through it too; and an ingress that keeps connections to a Service does not notice that
    the Service has other endpoints now.
    """
    idle, busy = (sum(one.cpu_ms[ACTIVATOR] for one in turns) / len(turns) for turns in (free, default))
    if idle > busy / 2:
        raise RuntimeError(
            f"the activator used {idle:.2f} ms of processor time per request where it should be out of the path, and "
            f"{busy:.2f} ms where it is in it: either something else uses the cluster now, or the ingress does not "
            f"follow a change of {BURST}"
        )


def figures_of(free: Sequence[Turn], default: Sequence[Turn]) -> list[Figure]:
    """``free`` of the activator, and ``default`` with it, round by round."""
    unit = "ms p50"
    longer = tuple(b.ms[INGRESS] - a.ms[INGRESS] for a, b in zip(free, default, strict=True))
    figures = [
        Figure(name="added by the cluster, without the activator", unit=unit, values=added(free), target="<= 3"),
        Figure(name="added by the cluster, with it (Knative's default)", unit=unit, values=added(default)),
        Figure(
            name="whole request in the cluster, without it", unit=unit, values=tuple(one.ms[GATEWAY] for one in free)
        ),
        Figure(name="whole request outside", unit=unit, values=tuple(one.ms[OUTSIDE] for one in free)),
    ]
    parts = [shares(one.ms) for one in free]
    figures += [
        Figure(name=f"share of {name}", unit=unit, values=tuple(one[name] for one in parts)) for name in parts[0]
    ]
    figures.append(Figure(name=f"share of {ACTIVATOR}, when in the path", unit=unit, values=longer))
    figures += [
        Figure(name=f"processor time of {name}", unit="ms/request", values=tuple(one.cpu_ms[name] for one in free))
        for name in PASSED
    ]
    used = tuple(one.cpu_ms[ACTIVATOR] for one in default)
    figures.append(Figure(name=f"processor time of {ACTIVATOR}, when in the path", unit="ms/request", values=used))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    free: list[Turn] = []
    default: list[Turn] = []
    # The outside's start takes longer than the pod's idle time, so it is awake before the pod is looked up.
    found = inside()
    with outside(found.pod) as processes:
        found = inside()
        doors = {**found.doors, **processes}
        for number in range(options.rounds):
            backwards = bool(number % 2)
            with without_activator(found.pod):
                free.append(turn(doors, found.activator, seconds=options.seconds, backwards=backwards))
            default.append(turn(doors, found.activator, seconds=options.seconds, backwards=backwards))
            print(f"added {added(free)[-1]:.2f} ms, with the activator {added(default)[-1]:.2f} ms", flush=True)
        check_free(free, default)
        figures = figures_of(free, default)
        memory = {**{name: door.process for name, door in doors.items()}, ACTIVATOR: found.activator}
        figures += [
            Figure(name=f"memory of {name}", unit="MB PSS", values=(one.pss_mb(),)) for name, one in memory.items()
        ]
    publish("cluster.latency", figures, {"request": PATH, "rate": RATE, "rounds": options.rounds})


if __name__ == "__main__":
    main()
