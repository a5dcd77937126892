"""The process of a run that judges the model repository and publishes what is good: ``python -m switchyard.sync``."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from switchyard.catalog import owner_of
from switchyard.local.plan.workloads import Command, Deployment, Options, Plan

NAME = "sync"  # of its log, and in the status

_PORT = 8080  # in the command line; a free one takes its place at each start
_STOP_SECONDS = 5.0  # a copy stops within a step, a judging process is killed


def sync_deployments(plan: Plan, options: Options) -> Iterator[Deployment]:
    """Yield a process for each claim of which judged models are published, with names that no model there may have."""
    for claim, published in options.published.items():
        # Before the process makes it: the service of a repository that is missing would be listed as failed.
        (published / "vision").mkdir(parents=True, exist_ok=True)
        reserved = options.state / "reserved-names.json"
        reserved.write_text(json.dumps(_reserved(plan, published)))
        flags = {"source": options.claims[claim], "published": published, "reserved": reserved, "http_port": _PORT}
        yield Deployment(
            name=NAME,
            command=Command(
                name=NAME,
                argv=(
                    options.python,
                    "-m",
                    "switchyard.sync",
                    *(f"--{key}={value}" for key, value in flags.items()),
                ),
                env={},
                cwd=options.root,
                readiness="/healthz",
                http_port=_PORT,
                grpc=False,
                ports=frozenset((_PORT,)),
                grace=_STOP_SECONDS,
            ),
            gateway=False,
            fixed_ports=False,
        )


def _reserved(plan: Plan, published: Path) -> Mapping[str, str]:
    """Return the names of services, and whose they are; one that serves the folder of its own name has it elsewhere."""
    names = {}
    for service in plan.services:
        own = service.model_dir == published / "llm" / service.name
        names[f"vision/{service.name}" if own else service.name] = owner_of(service.name, service.model.kind)
    return names
