"""InferenceGraphs in YAML manifests, which may hold other documents too."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import orjson
import yaml

from switchyard.documents import parse_documents
from switchyard.router.graph.check import examine
from switchyard.router.graph.spec import GraphError, Problem, read

_GROUP = "serving.kserve.io/"
# KServe's webhook (pkg/apis/serving/v1alpha1/inference_graph_validation.go: GraphNameFmt)
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
# The spec is one argument of the router's process, and Linux allows 128 KiB (MAX_ARG_STRLEN) for one.
_LONGEST_SPEC = 128 * 1024 - 1


class ManifestError(ValueError):
    """The text is not YAML, or holds no InferenceGraph; the message says which."""


@dataclass(frozen=True, slots=True)
class GraphReport:
    """A graph's name, the number of its nodes, and its problems, errors first."""

    name: str
    nodes: int
    problems: tuple[Problem, ...]

    @property
    def failed(self) -> bool:
        return any(problem.severity == "error" for problem in self.problems)


def reports(text: str) -> Iterator[GraphReport]:
    """Yield a report for each InferenceGraph among the YAML documents of ``text``; skip other kinds.

    Raises:
        ManifestError: the text is not YAML, or holds no InferenceGraph.
    """
    try:
        documents = parse_documents(text)
    except yaml.YAMLError as err:
        raise ManifestError(f"it is not YAML: {' '.join(str(err).split())}") from err
    graphs = [document for document in documents if _is_graph(document)]
    if not graphs:
        raise ManifestError(f"it holds no InferenceGraph ({len(documents)} documents); give one of {_GROUP}v1alpha1")
    yield from map(_report, graphs)


def _is_graph(document: object) -> bool:
    return (
        isinstance(document, dict)
        and document.get("kind") == "InferenceGraph"
        and str(document.get("apiVersion")).startswith(_GROUP)
    )


def _report(document: dict[str, object]) -> GraphReport:
    metadata = document.get("metadata")
    name = str(metadata.get("name", "")) if isinstance(metadata, dict) else ""
    problems = () if _NAME.fullmatch(name) else (_name_problem(name),)
    spec = document.get("spec")
    try:
        graph = read(spec)
    except GraphError as err:
        return GraphReport(name, 0, (*problems, *err.problems))
    length = len(orjson.dumps(spec, default=str, option=orjson.OPT_NON_STR_KEYS))
    if length > _LONGEST_SPEC:
        limit = f"more than a process argument can be ({_LONGEST_SPEC})"
        text = f"its spec is {length} bytes of JSON, {limit}; split the graph"
        problems = (*problems, Problem("error", "graph", text))
    return GraphReport(name, len(graph.nodes), (*problems, *examine(graph)))


def _name_problem(name: str) -> Problem:
    shown = f'metadata.name is "{name}"' if name else "metadata.name is missing"
    text = f"{shown}; use lower-case letters, digits and hyphens, beginning with a letter"
    return Problem("error", "graph", text)
