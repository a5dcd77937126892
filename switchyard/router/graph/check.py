"""Problems of a graph that KServe accepts, but that would respond with errors or has steps that never run.

Errors are what cannot work. When a router starts, the errors of a node that no step leads to become warnings, because
no request reaches them. Every problem names node and step, and says what to do.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from switchyard.router.graph.conditions import always_holds, is_default, mistake_in
from switchyard.router.graph.spec import ROOT, Graph, GraphError, Node, Problem, Severity, Step, step_label

# Nodes below each other. Each takes four calls of Python's 1000 to build, and as many of every request that runs it; a
# graph that people can follow has fewer than ten.
MAX_DEPTH = 64

_CLUSTER_HOST = re.compile(r"\.svc(\.cluster\.local)?(:\d+)?$")
_DATA = ("", "$request", "$response")


def require(graph: Graph) -> tuple[Problem, ...]:
    """Return the warnings of a graph that is about to run, rendered by KServe's controller (services resolved to URLs).

    Raises:
        GraphError: something in it cannot work.
    """
    problems = examine(graph, rendered=True)
    errors = tuple(problem for problem in problems if problem.severity == "error")
    if errors:
        raise GraphError(errors)
    return problems


def examine(graph: Graph, *, rendered: bool = False) -> tuple[Problem, ...]:
    """Return all problems, errors first; ``rendered`` when KServe's controller has filled in the services' URLs."""
    return tuple(sorted(_problems(graph, rendered), key=lambda problem: problem.severity != "error"))


def _problems(graph: Graph, rendered: bool) -> Iterator[Problem]:
    if ROOT not in graph.nodes:
        names = ", ".join(graph.nodes) or "none"
        yield Problem(
            "error", "graph", f"no node is named {ROOT}, where requests start (nodes: {names}); name one root"
        )
    reached = _reached(graph)
    for node in graph.nodes.values():
        found = _node_problems(graph, node, rendered)
        if node.name not in reached:
            yield _of_node("warning", node, "no step leads to it; remove it, or name it in a step's nodeName")
            if rendered:
                found = (replace(problem, severity="warning") for problem in found)
        yield from found
    cycles = tuple(_cycles(graph, reached))
    yield from cycles or _too_deep(graph)


def _too_deep(graph: Graph) -> Iterator[Problem]:
    """Yield a problem if a graph without cycles has a way through more than ``MAX_DEPTH`` nodes."""
    level = {ROOT} & graph.nodes.keys()
    for _ in range(MAX_DEPTH):
        level = {name for above in level for name in _successors(graph.nodes[above]) if name in graph.nodes}
    if level:
        text = f'the way from {ROOT} to node "{min(level)}" leads through more than {MAX_DEPTH} nodes'
        yield Problem("error", "graph", f"{text}; put steps of several nodes into one")


def _reached(graph: Graph) -> frozenset[str]:
    reached: set[str] = set()
    todo = [ROOT]
    while todo:
        name = todo.pop()
        if name in graph.nodes and name not in reached:
            reached.add(name)
            todo += _successors(graph.nodes[name])
    return frozenset(reached)


def _successors(node: Node) -> list[str]:
    return [step.node for step in node.steps if step.node is not None]


def _cycles(graph: Graph, reached: Iterable[str]) -> Iterator[Problem]:
    """Yield one problem for each step that leads back to one of its own ancestors."""
    # A stack of our own: chains of nodes may be longer than Python's allows calls.
    done: set[str] = set()
    for start in sorted(reached, key=lambda name: name != ROOT):
        trail: list[str] = []
        branches = [iter([start])]
        while branches:
            name = next(branches[-1], None)
            if name is None:
                branches.pop()
                if trail:
                    done.add(trail.pop())
            elif name in trail:
                way = " -> ".join(f'"{passed}"' for passed in [*trail[trail.index(name) :], name])
                text = (
                    f"requests loop forever: {way}; point its step at a service, or at a node that is not in the loop"
                )
                yield _of_node("error", graph.nodes[trail[-1]], text)
            elif name in graph.nodes and name not in done:
                trail.append(name)
                branches.append(iter(_successors(graph.nodes[name])))


def _node_problems(graph: Graph, node: Node, rendered: bool) -> Iterator[Problem]:
    if not node.steps:
        yield _of_node("error", node, "it has no steps; add one")
        return
    names = Counter(step.name for step in node.steps if step.name)
    for name, count in names.items():
        if count > 1:
            yield _of_node("error", node, f'{count} steps are named "{name}"; give each its own name')
    for index, step in enumerate(node.steps):
        where = f'node "{node.name}", {step_label(index, step.name)}'
        yield from _target_problems(graph, step, where, rendered)
        yield from _use_problems(node, index, step, where)
        if mistake := mistake_in(step.condition_text):
            yield Problem(mistake.severity, where, mistake.text)
    if node.kind == "Splitter":
        yield from _weight_problems(node)
    elif node.kind == "Switch":
        yield from _switch_problems(node)


def _target_problems(graph: Graph, step: Step, where: str, rendered: bool) -> Iterator[Problem]:
    given = {"nodeName": step.node, "serviceName": step.service, "serviceUrl": step.url}
    named = [key for key, value in given.items() if value]
    if rendered and named == ["serviceName", "serviceUrl"]:
        named.pop(0)
    if not named:
        yield Problem("error", where, "it leads nowhere; set nodeName, serviceName or serviceUrl")
    elif len(named) > 1:
        yield Problem("error", where, f"{' and '.join(named)} are set; keep one of them")
    elif rendered and named == ["serviceName"]:
        text = f"the service {step.service} has no URL yet; KServe's controller fills it in; elsewhere set serviceUrl"
        yield Problem("error", where, text)
    if step.node and step.node not in graph.nodes:
        known = ", ".join(graph.nodes) or "none"
        yield Problem("error", where, f'there is no node "{step.node}" (nodes: {known}); correct nodeName')
    if step.url and (fault := _url_fault(step.url)):
        yield Problem("error", where, f"serviceUrl {step.url!r} {fault}; write http://HOST or http://HOST:PORT/PATH")


def _url_fault(url: str) -> str:
    if not url.isascii() or any(char <= " " or char == "\x7f" for char in url):
        return "has blanks or characters that are not ASCII"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as err:
        return f"is no URL ({err})"
    if parts.scheme not in ("http", "https"):
        return "does not begin with http:// or https://"
    if not parts.hostname or port == 0:
        return "names no host" if port != 0 else "has port 0"
    if _CLUSTER_HOST.search(parts.netloc) and parts.netloc != parts.netloc.lower():
        # No name in Kubernetes has capitals: this is NAMESPACE, for which kustomize/namespaced-urls had no line.
        return "has capitals in a name of Kubernetes, as where an overlay's namespace did not take its place"
    return ""


def _use_problems(node: Node, index: int, step: Step, where: str) -> Iterator[Problem]:
    """Yield fields that have no effect in this kind of node, or that cannot work at this place."""
    if node.kind == "Sequence":
        if step.condition is not None and index == 0:
            text = "its condition is tested on the previous step's response, and there is none; move it to a later step"
            yield Problem("error", where, text)
        if step.uses_response and index == 0:
            yield Problem("warning", where, "data: $response has no effect on the first step; remove it")
        if step.data not in _DATA:
            text = f"data is {step.data!r}, which has the effect of $request; write $response or $request"
            yield Problem("warning", where, text)
    for field, given, kinds in (
        ("condition", bool(step.condition_text), ("Switch", "Sequence")),
        ("weight", step.weight is not None, ("Splitter",)),
        ("data", bool(step.data), ("Sequence",)),
        ("mapPredictionsToInstances", step.maps_predictions, ("Sequence",)),
    ):
        if given and node.kind not in kinds:
            yield Problem("warning", where, f"{field} has no effect in a {node.kind}; remove it")


def _weight_problems(node: Node) -> Iterator[Problem]:
    weights = [step.weight for step in node.steps]
    for index, step in enumerate(node.steps):
        where = f'node "{node.name}", {step_label(index, step.name)}'
        if step.weight is None:
            yield Problem("error", where, "it has no weight; set its share of requests in percent")
        elif step.weight < 0:
            yield Problem("error", where, f"its weight is {step.weight}; set a share from 0 to 100")
    total = sum(weight for weight in weights if weight is not None)
    if None not in weights and total != 100:
        yield _of_node("error", node, f"its weights add up to {total}; make them 100")


def _switch_problems(node: Node) -> Iterator[Problem]:
    for index, step in enumerate(node.steps):
        where = f'node "{node.name}", {step_label(index, step.name)}'
        if step.condition is None:
            text = (
                "without a condition it is never chosen; for a default, write a path that every body has, such as model"
            )
            yield Problem("error", where, text)
        elif index + 1 < len(node.steps) and always_holds(step.condition) and not mistake_in(step.condition_text):
            text = f"its condition {step.condition_text!r} holds for every body, so later steps are never chosen"
            yield Problem("warning", where, f"{text}; write a query, or move it to the end")
    last = node.steps[-1].condition
    if last is not None and not is_default(last):
        text = "no default: a body that matches no condition gets a 404"
        yield _of_node("warning", node, f"{text}; end with a step whose condition is a path that every body has")


def _of_node(severity: Severity, node: Node, text: str) -> Problem:
    return Problem(severity, f'node "{node.name}"', text)
