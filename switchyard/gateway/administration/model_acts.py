"""Stage: who has a model loaded or unloaded, over HTTP and gRPC, is written down; who changes one is an operator."""

from collections.abc import Awaitable

from switchyard.gateway.administration.actors import actor_of
from switchyard.gateway.audit.log import SUCCEEDED, Act, AuditLog
from switchyard.gateway.call import Call
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.http.api_errors import ApiError
from switchyard.http.json_body import parse_object
from switchyard.rpc.protobuf import fields

_ACTS = {
    "/v2/repository/models/{model}/load": "model.loaded",
    "/v2/repository/models/{model}/unload": "model.unloaded",
    "RepositoryModelLoad": "model.loaded",
    "RepositoryModelUnload": "model.unloaded",
}
_FINE = (200, "OK")
_PARAMETERS = 3  # of a RepositoryModelLoadRequest
_NO_KEYS = "a load with a config is for an operator, and this gateway asks nobody for a key: give it tenants"


def model_acts(*, audit: AuditLog, overrides: bool) -> Stage:
    """Write such calls down when they have ended, whatever their outcome; others pass.

    Without ``overrides``, for a gateway that anybody may ask, a load brings no configuration for its model.
    """

    def stage(call: Call, proceed: Proceed) -> Awaitable[None]:
        kind = _ACTS.get(call.route.rpc or call.route.path)
        return proceed(call) if kind is None else written(call, proceed, kind)

    async def written(call: Call, proceed: Proceed, kind: str) -> None:
        outcome, details = "cancelled", {"id": call.model_name}
        try:
            if kind == "model.loaded" and _has_parameters(call):
                details["changed"] = "configuration"
                if not overrides:
                    raise ApiError("permission_denied", _NO_KEYS)
            await proceed(call)
            outcome = SUCCEEDED if call.edge.code in _FINE else str(call.edge.code)
        except ApiError as err:
            outcome = err.code
            raise
        except Exception:
            outcome = "error"
            raise
        finally:
            await audit.write(Act(type=kind, details=details, outcome=outcome), actor_of(call))

    return stage


def _has_parameters(call: Call) -> bool:
    try:
        if call.route.rpc:
            return any(number == _PARAMETERS for number, *_ in fields(call.body))
        return bool(call.body.strip()) and bool(parse_object(call.body).get("parameters"))
    except ValueError as err:
        raise ApiError("invalid_value", f"the request is not a V2 message: {err}") from err
