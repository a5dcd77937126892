"""Which modules the preloaded parent is to fork, and with which variables."""

from collections.abc import Mapping, Sequence

from switchyard.local.errors import LocalError
from switchyard.local.plan.workloads import Options, Service
from switchyard.local.processes.preload import module_of
from switchyard.local.supervisor.published_models import ServicePlanner
from switchyard.repository.verdict import Facts, Memory

_ANY_MODEL = Facts(format="huggingface", kind="llm", bytes=0, memory=Memory(weights=0))


def forked(
    services: Sequence[Service], planner: ServicePlanner, options: Options
) -> Mapping[str, Sequence[Mapping[str, str]]]:
    """Return the modules that services run, each with the variables of every service that runs it.

    Where models are published, the module of language models is among them before there is one: the first is then
    served as soon as any other. An overlay without a runtime for them cannot have one.
    """
    later = _language_models(planner) if options.published else []
    return {**_by_module(later, options), **_by_module(services, options)}


def _language_models(planner: ServicePlanner) -> list[Service]:
    """Plan two services that may come, by different names: what both have, all have."""
    try:
        return [planner(name, _ANY_MODEL) for name in ("one", "another")]
    except LocalError:
        return []


def _by_module(services: Sequence[Service], options: Options) -> Mapping[str, Sequence[Mapping[str, str]]]:
    found: dict[str, list[Mapping[str, str]]] = {}
    for service in services:
        module = module_of(service.command.argv, options.python)
        if module is not None and not service.problem:
            found.setdefault(module, []).append(service.command.env)
    return found
