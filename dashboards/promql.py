"""Pieces of PromQL that boards share, and what can be read from an expression."""

import re
from collections.abc import Mapping

import promql_parser

EVERYWHERE = ""  # series of what serves all namespaces
NAMESPACE = 'namespace=~"$namespace"'
MODEL = f'{NAMESPACE}, model=~"$model"'
TENANT = f'{NAMESPACE}, tenant=~"$tenant"'
VLLM = f'{NAMESPACE}, model_name=~"$model"'

_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")
# What Grafana puts in for its variables when everything is chosen, at a scrape interval of 15 seconds.
EVERYTHING = {
    "namespace": ".*",
    "model": ".*",
    "tenant": ".*",
    "__rate_interval": "1m",
    "__range": "1h",
}


def select(metric: str, labels: str = NAMESPACE) -> str:
    """Return the series of ``metric`` with ``labels``."""
    return f"{metric}{{{labels}}}" if labels else metric


def total(expr: str, *by: str) -> str:
    """Return the sum of ``expr`` by some labels."""
    return f"sum by ({', '.join(by)}) ({expr})" if by else f"sum({expr})"


def highest(expr: str, *by: str) -> str:
    """Return the highest value of ``expr`` by some labels."""
    return f"max by ({', '.join(by)}) ({expr})" if by else f"max({expr})"


def rate(counter: str, labels: str = NAMESPACE, *, by: tuple[str, ...] = (), over: str = "$__rate_interval") -> str:
    """Return how much ``counter`` grows each second, summed by some labels."""
    return total(f"rate({select(counter, labels)}[{over}])", *by)


def increase(counter: str, labels: str = NAMESPACE, *, by: tuple[str, ...] = (), over: str = "$__range") -> str:
    """Return how much ``counter`` grew in the time shown, summed by some labels."""
    return total(f"increase({select(counter, labels)}[{over}])", *by)


def ratio(part: str, whole: str) -> str:
    """Return ``part / whole`` where there is a whole: no NaN without traffic."""
    return f"{part} / ({whole} > 0)"


def used(part: str, whole: str, labels: str = NAMESPACE, *, by: tuple[str, ...] = ()) -> str:
    """Return how much of the gauge ``whole`` the gauge ``part`` is."""
    return ratio(highest(select(part, labels), *by), highest(select(whole, labels), *by))


def share(part: str, whole: str) -> str:
    """Return ``part / whole`` where there is a whole, 0 where a whole has no part."""
    return f"({part} or 0 * {whole}) / ({whole} > 0)"


def quantile(part: float, histogram: str, labels: str = NAMESPACE, *, by: tuple[str, ...] = ()) -> str:
    """Return the value that ``part`` of what ``histogram`` saw stays below."""
    return f"histogram_quantile({part}, {rate(f'{histogram}_bucket', labels, by=('le', *by))})"


def mean(histogram: str, labels: str = NAMESPACE, *, by: tuple[str, ...] = ()) -> str:
    """Return the mean of what ``histogram`` saw."""
    return ratio(rate(f"{histogram}_sum", labels, by=by), rate(f"{histogram}_count", labels, by=by))


def fill(expr: str, values: Mapping[str, str] = EVERYTHING) -> str:
    """Return ``expr`` as Grafana would send it.

    Raises:
        KeyError: It has a variable without a value.

    """
    return _VARIABLE.sub(lambda match: values[match[1] or match[2]], expr)


def selectors(expr: str) -> list[promql_parser.VectorSelector]:
    """Return all selectors of series in ``expr``.

    Raises:
        ValueError: It is not PromQL.

    """
    found: list[promql_parser.VectorSelector] = []

    def visit(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        return True

    promql_parser.walk(promql_parser.parse(fill(expr)), visit)
    return found


def metric_names(expr: str) -> list[str]:
    """Return the names of metrics in ``expr``, each once, sorted."""
    return sorted({selector.name for selector in selectors(expr) if selector.name})
