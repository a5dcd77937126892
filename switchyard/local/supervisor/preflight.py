"""What must be so before anything starts: there is a gateway, and the ports that are fixed are free."""

from collections.abc import Mapping
from pathlib import Path

from switchyard.http.web_access import is_loopback
from switchyard.local.errors import LocalError
from switchyard.local.plan.workloads import Deployment, Plan
from switchyard.local.processes import ports
from switchyard.local.program import LISTEN_VARIABLE, PORT_VARIABLE, program


def check(plan: Plan, overlay: Path, environ: Mapping[str, str]) -> Deployment:
    """Fail when ``plan`` cannot be run here as it is asked for; return its gateway.

    Raises:
        LocalError: there is no gateway, it would ask strangers for no keys, or a port is taken.
    """
    gateway = require_gateway(plan, overlay)
    require_keys(gateway, environ)
    require_free_ports(plan)
    return gateway


def require_gateway(plan: Plan, overlay: Path) -> Deployment:
    """Return the gateway of ``plan``, through which clients reach the models.

    Raises:
        LocalError: there is none; the message says what was looked for, and what to add.
    """
    if plan.gateway is None:
        others = ", ".join(deployment.name for deployment in plan.deployments) or "none"
        raise LocalError(
            f"{overlay} has no gateway, so no client could reach its models: of its Deployments with replicas "
            f"({others}) none is called gateway or has the label app.kubernetes.io/name: gateway; add "
            "manifests/platform/gateway to the resources in its kustomization.yaml"
        )
    return plan.gateway


def require_free_ports(plan: Plan) -> None:
    """Fail when the port of a Deployment cannot be used.

    Raises:
        LocalError: names the port, its Deployment, who listens there, and what to do.
    """
    for deployment in plan.deployments:
        try:
            ports.require_free(deployment.command.ports, f"Deployment {deployment.name}")
        except ports.PublicPortError as err:
            raise LocalError(f"{err}; {_remedy(deployment)}") from err


def require_keys(gateway: Deployment, environ: Mapping[str, str]) -> None:
    """Fail when the gateway is to serve others than this machine and would ask them for no keys.

    Raises:
        LocalError: says how to give it tenants.
    """
    env = {**environ, **gateway.command.env}
    listen = env.get(LISTEN_VARIABLE, "")
    if listen and not (is_loopback(listen) or env.get("SWITCHYARD_TENANTS") or env.get("SWITCHYARD_ALLOW_OPEN")):
        raise LocalError(
            f"the gateway of this overlay checks no keys, so it does not listen on {listen}: give it tenants, as "
            "docs/how-to/add-a-tenant.md shows, or leave out --listen"
        )


def _remedy(deployment: Deployment) -> str:
    if not deployment.gateway:
        return "stop it, or change the port in the overlay"
    free = ports.next_free(deployment.command.http_port, deployment.command.ports)
    return f"stop it, or give the gateway another port: `{program()} up --port {free}`, or {PORT_VARIABLE}={free}"
