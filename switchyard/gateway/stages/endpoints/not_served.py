"""Stage of paths and methods that nothing serves, and of OPTIONS."""

from switchyard.gateway.call import Call
from switchyard.gateway.edges.cors import Cors
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.http.api_errors import ApiError


def not_served(cors: Cors) -> Stage:
    """Respond with 404, with 405 and the path's methods, or to OPTIONS with these and the CORS headers."""

    async def stage(call: Call, proceed: Proceed) -> None:
        path, allow = call.path.decode("latin-1")[:200], call.params.get("allow", "")
        if call.route.rpc:
            raise ApiError("not_implemented", f"{path} is not served here; /docs lists what is")
        method = call.method.decode("latin-1")
        if allow and method == "OPTIONS":
            asked = cors.preflight(call.fields.get(b"origin"), call.fields.get(b"access-control-request-headers"))
            call.edge.respond(204, [(b"allow", allow.encode()), *asked], b"")
        elif allow:
            raise ApiError("method_not_allowed", f"{path} allows {allow}, not {method}", allow=allow)
        else:
            raise ApiError("not_found", f"{method} {path} is not served here; GET /docs lists what is")

    return stage
