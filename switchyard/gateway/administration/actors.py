"""Who acts by a call, and from where."""

from switchyard.gateway.audit.log import Actor
from switchyard.gateway.call import Call


def actor_of(call: Call) -> Actor:
    """Return who sent a call: its key or token, or whoever uses a gateway of this machine without keys."""
    source = {"ip_address": call.edge.caller, "request_id": call.request_id.decode()}
    identity = call.identity
    if identity is None:
        return Actor({"type": "local"}, source)
    owner = f"{identity.tenant}/{identity.team}" if identity.team else identity.tenant
    key = {"id": identity.key_id, "type": "service_account", "service_account": {"id": owner}}
    return Actor({"type": "api_key", "api_key": key}, source)
