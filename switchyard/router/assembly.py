"""Builds runnable nodes and steps from a graph's spec."""

from dataclasses import dataclass

from switchyard.http.client import Client
from switchyard.router.graph.spec import ROOT, Graph, Node
from switchyard.router.meter import GraphMeter, NodeMeter
from switchyard.router.nodes.choosing import Splitter, Switch
from switchyard.router.nodes.ensemble import Ensemble
from switchyard.router.nodes.sequence import Sequence, is_fallback
from switchyard.router.steps.istio import IstioSidecar
from switchyard.router.steps.retry import Retry
from switchyard.router.steps.service import ServiceTarget
from switchyard.router.steps.step import StepRunner, Target
from switchyard.telemetry.tracing import Tracer


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """Dependencies of nodes and steps."""

    client: Client
    meter: GraphMeter
    tracer: Tracer
    istio_sidecar: IstioSidecar
    retry: Retry
    ensemble_parallel: int


def build(graph: Graph, parts: Parts) -> Target:
    """Build the root node of a checked graph; call this in the event loop that will run it."""
    return _Builder(graph, parts).node(ROOT)


class _Builder:
    def __init__(self, graph: Graph, parts: Parts) -> None:
        self._graph = graph
        self._parts = parts
        self._built: dict[str, Target] = {}

    # Recursion ends, because `check` has rejected graphs with cycles or more than MAX_DEPTH nodes below each other.
    def node(self, name: str) -> Target:
        """Build a node once, even when several steps lead to it."""
        if name not in self._built:
            meter = self._parts.meter.node(name)
            self._built[name] = self._bare(self._graph.nodes[name], meter)
        return self._built[name]

    def _bare(self, node: Node, meter: NodeMeter) -> Target:
        runners = [self._runner(node, index) for index in range(len(node.steps))]
        if node.kind == "Switch":
            return Switch(node.name, runners, meter)
        if node.kind == "Splitter":
            return Splitter(node.name, runners, meter)
        if node.kind == "Ensemble":
            return Ensemble(runners, meter, self._parts.ensemble_parallel)
        return Sequence(node.name, runners, meter)

    def _runner(self, node: Node, index: int) -> StepRunner:
        step = node.steps[index]
        name = step.name or str(index)
        meter = self._parts.meter.step(node.name, name)
        if step.node is not None:
            return StepRunner(node.name, step, name, self.node(step.node), meter, self._parts.tracer)
        followed = node.kind == "Sequence" and index + 1 < len(node.steps)
        has_fallback = followed and not step.hard and is_fallback(node.steps[index + 1].condition)
        limit = self._graph.timeouts.service_client
        service = ServiceTarget(
            step.url or "",
            label=f"step {name} of node {node.name}",
            client=self._parts.client,
            istio_sidecar=self._parts.istio_sidecar,
            retry=Retry(attempts=1) if has_fallback else self._parts.retry,  # the fallback step is the retry
            # 0 or less is no limit, as for Go's http.Client, to which KServe's router hands this number.
            seconds=float(limit) if limit is not None and limit > 0 else None,
            meter=meter,
        )
        return StepRunner(node.name, step, name, service, meter, self._parts.tracer)
