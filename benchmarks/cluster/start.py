"""``python -m benchmarks.cluster.start``: from zero pods to a chat model's first token, against local mode's process.

Both are asked through their gateway for a stream. Local mode has no preloaded parent here, and the image is on the
node, so neither forks what is loaded nor pulls; both have the modules' bytecode, which the image brings and the process
keeps from its first start. One start of each, which does not count, makes that and fills the page cache. Parts:

- pod created, schedule: until the API server shows a pod, and a node for it
- process begins: sandbox, network and container; for local mode, what its gateway and supervisor do before they fork
- import, load, warm-up: as the predictor reports them, from the beginning of its process
- seen ready: until the pod is Ready: the kubelet's and Knative's probes
- first token: Knative's way from a Ready pod to the request that waits, and the answer; for local mode, its probe too
"""

import argparse
import asyncio
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from benchmarks import platform
from benchmarks.cluster import pods
from benchmarks.cluster.pods import MODEL_CONTAINER, Sighting, Watch
from benchmarks.models.cold_start import BODY, PHASE, Rounds, first_token
from benchmarks.models.predictor import MODEL
from benchmarks.processes import Tree, wait_for
from benchmarks.report import Figure, publish, ratios
from benchmarks.streams import ask
from tests.cluster.client import Cluster

SELECTOR = f"serving.kserve.io/inferenceservice={MODEL}"
INSIDE = ("import", "load", "warm-up")
CHAT = "/v1/chat/completions"
POD, LOCAL = "pod", "local process"


def parts_of(
    *, began: float, first: float, process: float, inside: Mapping[str, float], seen: Sequence[Sighting] = ()
) -> dict[str, float]:
    """What a start consisted of, in seconds that sum up to ``first - began``; all times are seconds since boot.

    ``began`` is the request, ``first`` its first token, ``process`` the predictor's beginning and ``inside`` what it
    reported; ``seen`` is its pod, if it has one.
    """
    warm = process + sum(inside[phase] for phase in INSIDE)
    own = {phase: inside[phase] for phase in INSIDE}
    if not seen:
        return {"process begins": process - began, **own, "first token": first - warm}
    created = seen[0].at
    scheduled = next(one.at for one in seen if one.scheduled)
    ready = next(one.at for one in seen if one.ready)
    return {
        "pod created": created - began,
        "schedule": scheduled - created,
        "process begins": process - scheduled,
        **own,
        "seen ready": ready - warm,
        "first token": first - ready,
    }


def note(rounds: Rounds, way: str, process: Tree, parts: Mapping[str, float]) -> None:
    """Adds a start to ``rounds``, with what its predictor has used until now."""
    rounds.add(way, sum(parts.values()))
    rounds.add(f"{way}: processor time of the predictor", process.cpu_ms() / 1000)
    rounds.add(f"{way}: memory of the predictor", process.pss_mb())
    for part, seconds in parts.items():
        rounds.add(f"{way}: {part}", seconds)
    print(
        f"{way}: {sum(parts.values()):.2f} s", {part: round(seconds, 2) for part, seconds in parts.items()}, flush=True
    )


def woken_pod(rounds: Rounds, url: str, watch: Watch) -> None:
    """One start of a pod.

    Raises:
        RuntimeError: somebody else uses the model, so that nothing can be said of this start.
    """
    pods.wait_gone(SELECTOR)
    began = pods.now()
    first = began + first_token(url)
    pod = pods.serving(SELECTOR)
    seen = watch.of(pod["metadata"]["name"])
    if not seen or seen[0].at < began:
        raise RuntimeError(f"something else woke {MODEL} in the cluster: end it, and start again")
    process = pods.processes(pod)[MODEL_CONTAINER]
    inside = {phase: float(seconds) for phase, seconds in PHASE.findall(pods.log(pod, MODEL_CONTAINER))}
    beginning = pods.beginning(process)
    note(rounds, POD, process, parts_of(began=began, first=first, process=beginning, inside=inside, seen=seen))


def woken_process(rounds: Rounds, running: platform.Platform) -> None:
    """One start of the same model in local mode."""
    wait_for(lambda: running.row(MODEL)["state"] == "asleep", f"{MODEL} asleep")
    began = pods.now()
    first = began + first_token(running.url + CHAT)
    row = running.row(MODEL)
    process = Tree(row["pid"])
    beginning = pods.beginning(process)
    note(rounds, LOCAL, process, parts_of(began=began, first=first, process=beginning, inside=row["phases"]))


@contextmanager
def keeping_bytecode() -> Iterator[None]:
    """Programs that are started meanwhile compile each module once, whatever was set before."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


async def both(*urls: str) -> None:
    """Asks all at once and forgets how long it took."""
    await asyncio.gather(*(ask(url, BODY) for url in urls))


def figures_of(measured: Mapping[str, Sequence[float]]) -> list[Figure]:
    """The totals and their ratio, then every part of both."""
    made = [
        Figure(
            name="a pod's cold start against local mode's",
            unit="x",
            values=ratios(measured[POD], measured[LOCAL]),
            target="<= 1.3",
        )
    ]
    for name, values in measured.items():
        unit = "MB PSS" if "memory" in name else "s"
        what = f"{name}, request to first token" if name in (POD, LOCAL) else name
        made.append(Figure(name=what, unit=unit, values=tuple(values)))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rounds = Rounds()
    url = Cluster().url + CHAT
    with (
        keeping_bytecode(),
        platform.running(preload=False, window="6s") as running,
        pods.watching(SELECTOR) as watch,
    ):
        print("one start of each that does not count", flush=True)
        asyncio.run(both(url, running.url + CHAT))
        for number in range(options.rounds):
            if number % 2:
                woken_process(rounds, running)
                woken_pod(rounds, url, watch)
            else:
                woken_pod(rounds, url, watch)
                woken_process(rounds, running)
    publish(
        "cluster.start", figures_of(rounds.values), {"model": MODEL, "rounds": options.rounds, "image": "on the node"}
    )


if __name__ == "__main__":
    main()
