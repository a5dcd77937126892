"""V2 gRPC: the service's methods, and where a request names its model.

Names and field numbers are those of KServe's and Triton's ``grpc_predict_v2.proto``.
"""

import re

from switchyard.rpc.protobuf import read_text

SERVICE = "inference.GRPCInferenceService"

UNARY = ("ModelInfer", "ModelMetadata", "ModelReady", "ModelConfig", "ModelStatistics")
STREAMS = ("ModelStreamInfer",)
REPOSITORY = ("RepositoryModelLoad", "RepositoryModelUnload")

MODEL_NAME = 1  # the field that holds it in all of them but those of the repository
MODEL_VERSION = 2  # in ModelReady, ModelMetadata and ModelInfer
ERROR_TAG = 0x0A  # of field 1 of a ModelStreamInferResponse, its error, with which one begins that has any
# RFC 3986 §2.3: what a path holds as it is. Triton's HTTP server finds no other names once they are percent-encoded, as
# clients must send them, and never answers one with a blank or a semicolon.
_NAME = re.compile(r"[A-Za-z0-9._~-]+")
_NAME_FIELDS = dict.fromkeys(REPOSITORY, 2)


def name_fault(model: str) -> str:
    """Return why a model of this name cannot be served, empty if it can."""
    if _NAME.fullmatch(model):
        return ""
    odd = next(letter for letter in model if not _NAME.fullmatch(letter))
    return f"its name has {odd!r}; rename its folder, with letters, digits, hyphens, dots and underscores only"


def path(method: str) -> str:
    """Return the path of a method of the service."""
    return f"/{SERVICE}/{method}"


def name_field(method: str) -> int:
    """The number of the field that names the model in requests of a method."""
    return _NAME_FIELDS.get(method, MODEL_NAME)


def name_of(method: str, request: bytes, *, cut_off: bool = False) -> str:
    """Return the model that a request of ``method`` names; ``cut_off`` says that ``request`` is only its beginning.

    Raises:
        ValueError: the request is not such a message.
    """
    return read_text(request, name_field(method), cut_off=cut_off)
