"""Requests to load and unload a model, written anew: of a client's own nothing reaches Triton but the model's name.

Triton would take files and a whole configuration with it: code, paths of its machine, and any number of processes.
Messages and field numbers are those of Triton's ``grpc_service.proto``.
"""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from switchyard.http.api_errors import ApiError
from switchyard.http.json_body import parse_object
from switchyard.rpc.protobuf import BYTES, VARINT, fields, read_text, write

Control = Literal["RepositoryModelLoad", "RepositoryModelUnload"]

MODEL, _PARAMETERS = 2, 3
_KEY, _VALUE = 1, 2  # of an entry of a map
_BOOL = 1  # of a parameter
_DEPENDENTS = "unload_dependents"  # which Triton's clients always send with an unload


class ModelControl(Protocol):
    """The calls to Triton that ``LoadedModels`` makes; each raises ``ApiError``."""

    async def index(self) -> dict[str, bool]: ...
    async def config(self, model: str) -> Mapping[str, Any]: ...
    async def control(self, method: Control, request: bytes) -> None: ...


def control_request(model: str, *, unload_dependents: bool = False) -> bytes:
    """Encode a RepositoryModelLoadRequest or RepositoryModelUnloadRequest."""
    value = write(_KEY, _DEPENDENTS) + write(_VALUE, write(_BOOL, True))
    return write(MODEL, model) + (write(_PARAMETERS, value) if unload_dependents else b"")


def of_json(method: Control, model: str, body: bytes) -> bytes:
    """Encode the request that a client made for ``model`` over HTTP.

    Raises:
        ApiError: 400 it is not such a request, or has other parameters.
    """
    parameters = (parse_object(body) if body.strip() else {}).get("parameters") or {}
    if not isinstance(parameters, dict):
        raise ApiError("invalid_value", "`parameters` must be an object; a load takes none, so leave it out")
    return control_request(model, unload_dependents=_dependents(method, parameters))


def of_message(method: Control, request: bytes) -> tuple[str, bytes]:
    """Return the model that a client named over gRPC, and the request for it.

    Raises:
        ApiError: 400 it is not such a request, or has other parameters.
    """
    try:
        model = read_text(request, MODEL)
        parameters = dict(
            _entry(request[start:end])
            for number, kind, start, end in fields(request)
            if number == _PARAMETERS and kind == BYTES
        )
    except ValueError as err:
        raise ApiError("invalid_value", f"the request is not a V2 message: {err}") from err
    return model, control_request(model, unload_dependents=_dependents(method, parameters))


def _dependents(method: Control, parameters: dict[str, Any]) -> bool:
    for name, value in parameters.items():
        if method != "RepositoryModelUnload" or name != _DEPENDENTS or not isinstance(value, bool):
            message = f"parameter {name[:80]!r} is not taken: models are loaded as their folders in the repository say"
            raise ApiError("invalid_value", message)
    return bool(parameters.get(_DEPENDENTS, False))


def _entry(entry: bytes) -> tuple[str, bool | None]:
    """Return the name of a parameter, and its value if that is a boolean."""
    value: bool | None = None
    for number, kind, start, end in fields(entry):
        if number == _VALUE and kind == BYTES:
            inner = list(fields(entry, start, end))
            plain = [end - start == 1 for number, kind, start, end in inner if (number, kind) == (_BOOL, VARINT)]
            value = entry[inner[0][2]] != 0 if len(inner) == len(plain) == 1 and plain[0] else None
    return read_text(entry, _KEY), value
