"""Requests to load and unload a model, written anew from what is taken of a client's own.

Triton would take files with them, which is code. Messages and field numbers are those of its ``grpc_service.proto``.
"""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from switchyard.http.api_errors import ApiError
from switchyard.http.json_body import parse_object
from switchyard.rpc.protobuf import BYTES, VARINT, fields, read_text, write

Control = Literal["RepositoryModelLoad", "RepositoryModelUnload"]

MODEL, _PARAMETERS = 2, 3
_KEY, _VALUE = 1, 2  # of an entry of a map
_BOOL, _STRING = 1, 3  # of a parameter
_CONFIG = "config"  # JSON, in place of the model's config.pbtxt
_DEPENDENTS = "unload_dependents"  # which Triton's clients always send with an unload


Parameters = Mapping[str, Any]


class ModelControl(Protocol):
    """The calls to Triton that ``LoadedModels`` makes; each raises ``ApiError``.

    ``content`` says which content of a model is published, empty where nobody publishes any, and ``memory`` how many
    bytes it needs while it is loaded.
    """

    def content(self, model: str) -> str: ...
    def memory(self, model: str) -> int: ...
    async def index(self) -> dict[str, bool]: ...
    async def config(self, model: str) -> Mapping[str, Any]: ...
    async def control(self, method: Control, request: bytes) -> None: ...


def control_request(model: str, *, unload_dependents: bool = False, config: str = "") -> bytes:
    """Encode a RepositoryModelLoadRequest or RepositoryModelUnloadRequest."""
    request = write(MODEL, model)
    if unload_dependents:
        request += write(_PARAMETERS, write(_KEY, _DEPENDENTS) + write(_VALUE, write(_BOOL, True)))
    if config:
        request += write(_PARAMETERS, write(_KEY, _CONFIG) + write(_VALUE, write(_STRING, config)))
    return request


def load_of_json(body: bytes) -> str:
    """Return the configuration that a client sent with a load over HTTP, empty for none.

    Raises:
        ApiError: 400 it is not such a request, or has other parameters.
    """
    return _config(_of_json(body))


def load_of_message(request: bytes) -> tuple[str, str]:
    """Return the model of a load over gRPC and the configuration that the client sent with it, empty for none.

    Raises:
        ApiError: 400 it is not such a request, or has other parameters.
    """
    model, parameters = _of_message(request)
    return model, _config(parameters)


def unload_of_json(model: str, body: bytes) -> bytes:
    """Encode the request to unload ``model`` that a client made over HTTP.

    Raises:
        ApiError: 400 it is not such a request, or has other parameters.
    """
    return control_request(model, unload_dependents=_dependents(_of_json(body)))


def unload_of_message(request: bytes) -> tuple[str, bytes]:
    """Return the model that a client wants unloaded over gRPC, and the request for it.

    Raises:
        ApiError: 400 it is not such a request, or has other parameters.
    """
    model, parameters = _of_message(request)
    return model, control_request(model, unload_dependents=_dependents(parameters))


def _of_json(body: bytes) -> Parameters:
    parameters = (parse_object(body) if body.strip() else {}).get("parameters") or {}
    if not isinstance(parameters, dict):
        raise ApiError("invalid_value", "`parameters` must be an object; a load needs none, so leave it out")
    return parameters


def _of_message(request: bytes) -> tuple[str, Parameters]:
    try:
        model = read_text(request, MODEL)
        parameters = dict(
            _entry(request[start:end])
            for number, kind, start, end in fields(request)
            if number == _PARAMETERS and kind == BYTES
        )
    except ValueError as err:
        raise ApiError("invalid_value", f"the request is not a V2 message: {err}") from err
    return model, parameters


def _config(parameters: Parameters) -> str:
    for name, value in parameters.items():
        if name != _CONFIG or not isinstance(value, str):
            message = f"parameter {name[:80]!r} is not taken: a model's files are those of its folder in the repository"
            raise ApiError("invalid_value", f"{message}, and `{_CONFIG}` is a string of JSON")
    return str(parameters.get(_CONFIG, ""))


def _dependents(parameters: Parameters) -> bool:
    for name, value in parameters.items():
        if name != _DEPENDENTS or not isinstance(value, bool):
            raise ApiError("invalid_value", f"parameter {name[:80]!r} is not taken with an unload")
    return bool(parameters.get(_DEPENDENTS, False))


def _entry(entry: bytes) -> tuple[str, bool | str | None]:
    """Return the name of a parameter, and its value if that is a boolean or a string."""
    value: bool | str | None = None
    for number, kind, start, end in fields(entry):
        if number == _VALUE and kind == BYTES:
            value = _value(entry[start:end])
    return read_text(entry, _KEY), value


def _value(parameter: bytes) -> bool | str | None:
    inner = list(fields(parameter))
    if len(inner) != 1:
        return None
    number, kind, start, end = inner[0]
    if (number, kind) == (_BOOL, VARINT) and end - start == 1:
        return parameter[start] != 0
    if (number, kind) == (_STRING, BYTES):
        return parameter[start:end].decode()
    return None
