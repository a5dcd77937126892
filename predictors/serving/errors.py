"""What KServe, FastAPI and pydantic raise, as errors of ours: the one place, for REST and gRPC alike."""

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from kserve.errors import (
    InferenceError,
    InvalidInput,
    ModelNotFound,
    ModelNotReady,
    NoModelReady,
    ServerNotLive,
    ServerNotReady,
    UnsupportedProtocol,
)
from starlette.exceptions import HTTPException

from predictors.serving.faults import of_faults
from switchyard.http.api_errors import ApiError, as_object, shape_of

logger = logging.getLogger(__name__)

_CODES: tuple[tuple[type[Exception], str], ...] = (
    (InvalidInput, "invalid_value"),
    (ModelNotReady, "model_not_ready"),
    (NoModelReady, "model_not_ready"),
    (ServerNotReady, "model_not_ready"),
    (ServerNotLive, "model_not_ready"),
    (NotImplementedError, "not_implemented"),
    (UnsupportedProtocol, "not_implemented"),
)
_RAISED = (
    *(kind for kind, _ in _CODES),
    *(ApiError, RequestValidationError, HTTPException, ModelNotFound, InferenceError, RecursionError, Exception),
)
_NOT_JSON = "Unrecognized request format: "  # KServe's words before the parser's
_NAME = 80  # characters of a name that a client sent, repeated to it


def of_exception(err: Exception) -> ApiError:
    """Return the error for what a framework or a model raised; log what is no client's fault."""
    if isinstance(err, ApiError):
        return err
    if isinstance(err, RequestValidationError):
        return of_faults(err.errors())
    if isinstance(err, ModelNotFound):  # which keeps the name in its sentence only
        name = err.reason.removeprefix("Model with name ").removesuffix(" does not exist.")
        return ApiError("model_not_found", f"there is no model {name[:_NAME]!r} here")
    if isinstance(err, InvalidInput) and err.reason.startswith(_NOT_JSON):
        return ApiError("invalid_json", f"the body is not JSON: {err.reason.removeprefix(_NOT_JSON)}")
    if isinstance(err, RecursionError):  # only JSON within texts of a request is that deep
        return ApiError("invalid_value", "a text of the request holds JSON that is nested too deeply")
    for kind, code in _CODES:
        if isinstance(err, kind):
            return ApiError(code, str(err).removeprefix("Server is not ready. ") or kind.__name__)
    logger.error("the model failed on a valid request", exc_info=err)
    if isinstance(err, InferenceError):
        return ApiError("model_error", str(err))
    return ApiError("internal_error", "this is a bug; the reason is in the service's log")


def install(app: FastAPI) -> None:
    """Make an application respond to what it raises in the shape of the path's protocol; its other handlers stay."""

    async def respond(request: Request, err: Exception) -> JSONResponse:
        path = request.url.path
        error = _of_http(request, err) if isinstance(err, HTTPException) else of_exception(err)
        headers = {name.decode(): value.decode() for name, value in error.headers}
        return JSONResponse(as_object(error, shape_of(path)), error.status, headers)

    for kind in _RAISED:
        app.add_exception_handler(kind, respond)


def _of_http(request: Request, err: HTTPException) -> ApiError:
    """Return the error for a path or method without a route, or a body that FastAPI cannot parse."""
    called = f"{request.method} {request.url.path[:_NAME]}"
    if err.status_code == 404:
        return ApiError("not_found", f"{called} is not served here")
    if err.status_code == 405:
        allow = (err.headers or {}).get("Allow", "POST")
        return ApiError("method_not_allowed", f"{called} is not allowed; use {allow}", allow=allow)
    if err.status_code == 400:
        return ApiError("invalid_json", "the body is not JSON in UTF-8")
    return ApiError("internal_error", str(err.detail), status=err.status_code)
