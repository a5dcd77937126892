"""Stage: writes down who has a model loaded or unloaded, over HTTP and gRPC."""

from collections.abc import Awaitable

from switchyard.gateway.administration.actors import actor_of
from switchyard.gateway.audit.log import SUCCEEDED, Act, AuditLog
from switchyard.gateway.call import Call
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.http.api_errors import ApiError

_ACTS = {
    "/v2/repository/models/{model}/load": "model.loaded",
    "/v2/repository/models/{model}/unload": "model.unloaded",
    "RepositoryModelLoad": "model.loaded",
    "RepositoryModelUnload": "model.unloaded",
}
_FINE = (200, "OK")


def model_acts(*, audit: AuditLog) -> Stage:
    """Write such calls down when they have ended, whatever their outcome; others pass."""

    def stage(call: Call, proceed: Proceed) -> Awaitable[None]:
        kind = _ACTS.get(call.route.rpc or call.route.path)
        return proceed(call) if kind is None else written(call, proceed, kind)

    async def written(call: Call, proceed: Proceed, kind: str) -> None:
        outcome = "cancelled"
        try:
            await proceed(call)
            outcome = SUCCEEDED if call.edge.code in _FINE else str(call.edge.code)
        except ApiError as err:
            outcome = err.code
            raise
        except Exception:
            outcome = "error"
            raise
        finally:
            await audit.write(Act(type=kind, details={"id": call.model_name}, outcome=outcome), actor_of(call))

    return stage
