"""The predictor's own calls to Triton; requests of clients are forwarded as bytes instead.

Loads use gRPC, everything else HTTP: while Triton's HTTP server loads a model, it responds to nothing else.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import grpc
import grpc.aio
import numpy as np
import orjson

from predictors.vision.errors import http_status, of_triton, triton_is_away
from predictors.vision.triton.control import MODEL, Control
from predictors.vision.triton.model_folders import ModelFolders
from predictors.vision.triton.tensors import HEADER_LENGTH, RequestedOutput, Tensor, decode, encode
from predictors.vision.triton.triton_log import NOT_POLLED, TritonLog
from switchyard.backoff import Backoff
from switchyard.http.api_errors import ApiError
from switchyard.http.client import Client, Response, Timeouts
from switchyard.http.client.errors import ResponseTooLargeError, UpstreamError, UpstreamTimeoutError
from switchyard.rpc.protobuf import read_text
from switchyard.rpc.v2 import SERVICE

logger = logging.getLogger(__name__)

_ATTEMPTS = 3
_BACKOFF = Backoff(first=0.05, most=0.1)
_LIVE_SECONDS = 2.0
_QUICK = Timeouts(connect=1.0, first_byte=10.0, total=10.0)
_TRACEBACK = "\n\nAt:\n"
_EXCEPTION = re.compile(r"(?:^|[\s:'])([A-Za-z_][\w.]{0,60}(?:Error|Exception)): ")
_LOGGED = 200  # characters
_CODE_LINE = re.compile(r"/(\d+/[^/\s]+\.py)\((\d+)\): ")  # of a file in a version's folder; the innermost is first


class TritonClient:
    """One Triton server; ``http`` is its ``host:port``, ``channel`` connects to its gRPC port.

    ``on_failure`` is called with the reason of each inference that a model failed at.

    Every method raises ``ApiError``: with Triton's own status and message, with 503 when it is unavailable, and with
    504 when it takes too long.
    """

    def __init__(
        self,
        client: Client,
        http: str,
        channel: Any,
        folders: ModelFolders,
        log: TritonLog,
        *,
        answer_seconds: float,
        control_seconds: float,
        on_failure: Callable[[str], None],
    ) -> None:
        self._client = client
        self._folders = folders
        self._log = log
        self._control_seconds = control_seconds
        self._on_failure = on_failure
        self._http = f"http://{http}"
        self._calls = {
            name: channel.unary_unary(f"/{SERVICE}/{name}")
            for name in ("RepositoryModelLoad", "RepositoryModelUnload", "ServerLive")
        }
        self._inference = Timeouts(connect=1.0, first_byte=answer_seconds, total=answer_seconds)

    async def record_spans(self) -> None:
        """Let it record the spans of requests that have a trace context; one that cannot is none the worse.

        https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_trace.md
        """
        try:
            await self._call(b"POST", "/v2/trace/setting", _QUICK, b'{"trace_level":["TIMESTAMPS"]}')
        except ApiError as err:
            logger.warning("Triton records no spans: %s", err.message)

    async def live(self) -> bool:
        """Whether it responds on both protocols; a channel that lost its server takes a moment to reconnect."""
        try:
            await self._call(b"GET", "/v2/health/live", _QUICK)
            await self._calls["ServerLive"](b"", wait_for_ready=True, timeout=_LIVE_SECONDS)
        except (ApiError, grpc.aio.AioRpcError):
            return False
        return True

    async def index(self) -> dict[str, bool]:
        """Return the names in the repository, and whether each is loaded."""
        loaded: dict[str, bool] = {}
        for row in await self.index_rows():
            # A row for each version: one that is ready makes the model loaded.
            loaded[row["name"]] = loaded.get(row["name"], False) or row.get("state") == "READY"
        return loaded

    async def index_rows(self) -> list[dict[str, Any]]:
        """Return the index as Triton has it: rows of loaded versions, and of names."""
        rows: list[dict[str, Any]] = orjson.loads(await self._call(b"POST", "/v2/repository/index", _QUICK))
        return rows

    async def version_ready(self, model: str, version: str) -> bool:
        """Whether a loaded model has a version."""
        try:
            await self._call(b"GET", f"{_path(model)}/versions/{quote(version, safe='')}/ready", _QUICK)
        except ApiError as err:
            if err.status >= 500:
                raise
            return False
        return True

    async def config(self, model: str) -> Mapping[str, Any]:
        """Return the configuration of a loaded model, completed by Triton."""
        config: Mapping[str, Any] = orjson.loads(await self._call(b"GET", f"{_path(model)}/config", _QUICK))
        return config

    def content(self, model: str) -> str:
        """Return where a model's link in the repository leads, empty if it is none."""
        return self._folders.link(model)

    def memory(self, model: str) -> int:
        """Return the bytes that a model needs while it is loaded."""
        return self._folders.memory(model)

    async def control(self, method: Control, request: bytes) -> None:
        """Load or unload as the encoded ``request`` says; return when a load is done or an unload has begun.

        A folder that lacks a file is not loaded.
        """
        model, logged = read_text(request, MODEL), self._log.size()
        if method == "RepositoryModelLoad" and (fault := self._folders.fault(model)):
            raise ApiError("invalid_value", fault)
        try:
            await self._calls[method](request, timeout=self._control_seconds)
        except grpc.aio.AioRpcError as err:
            if err.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                # Triton goes on with it, and begins no other meanwhile: the next load waits for this one's end.
                message = f"Triton did not finish within {self._control_seconds:g} s (MODEL_LOAD_SECONDS)"
                raise ApiError("upstream_timeout", message) from err
            if err.code() == grpc.StatusCode.UNAVAILABLE:
                raise triton_is_away() from err
            reason = load_reason((err.details() or "").strip(" \n;"))
            if reason.endswith(NOT_POLLED):
                reason = self._log.reason(model, logged) or reason
            reason = self._folders.without_paths(model, reason)
            raise of_triton(http_status(err.code()), reason) from err

    async def infer(
        self, model: str, inputs: Sequence[Tensor], outputs: Sequence[RequestedOutput], traceparent: str | None
    ) -> Mapping[str, np.ndarray]:
        """Return the outputs of one inference; retries, after a pause, while Triton is unreachable."""
        length, body = encode(inputs, outputs)
        headers = [(HEADER_LENGTH, b"%d" % length)]
        if traceparent:
            headers.append((b"traceparent", traceparent.encode()))
        response = await self._request_with_retries("POST", f"{_path(model)}/infer", headers, body)
        data = await _read(response)
        if response.status != 200:
            if response.status == 500:
                self._on_failure(error_message(data))
            raise _rejection(model, response.status, data)
        return decode(data, int(response.header(HEADER_LENGTH) or len(data)))

    async def _request_with_retries(
        self, method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> Response:
        loop = asyncio.get_running_loop()
        assert self._inference.total is not None
        deadline = loop.time() + self._inference.total
        for attempt in range(_ATTEMPTS):
            last = attempt + 1 == _ATTEMPTS
            try:
                response = await self._client.request(
                    method.encode(), self._http + path, headers, body, timeouts=self._inference
                )
            except UpstreamError as err:
                if last or not err.retryable:
                    raise _from_upstream(err) from err
            else:
                # 503: the HTTP frontend runs, but Triton is starting or stopping.
                if response.status != 503 or last:
                    return response
                response.close()
            pause = _BACKOFF.pause(attempt + 1)
            if loop.time() + pause > deadline:
                raise triton_is_away()
            await asyncio.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    async def _call(self, method: bytes, path: str, timeouts: Timeouts, body: bytes = b"") -> bytes:
        try:
            response = await self._client.request(method, self._http + path, [], body, timeouts=timeouts)
        except UpstreamError as err:
            raise _from_upstream(err) from err
        data = await _read(response)
        if response.status != 200:
            raise of_triton(response.status, error_message(data))
        return data


def error_message(body: bytes) -> str:
    """Return the message in ``{"error": …}``, without a request's missing id and without a traceback of Python."""
    try:
        said = str(orjson.loads(body)["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "Triton gave no reason"
    return without_traceback(said.removeprefix("[request id: <id_unknown>] "))


def without_traceback(said: str) -> str:
    """Return what a model in Python said when it failed, without the lines and paths of its code."""
    return said.partition(_TRACEBACK)[0].strip()


def load_reason(said: str) -> str:
    """Return why a model cannot be loaded: of one in Python with the line of its own code, without other paths."""
    line = _CODE_LINE.search(said.partition(_TRACEBACK)[2])
    return without_traceback(said) + (f" ({line[1]} line {line[2]})" if line else "")


def logged_reason(body: bytes) -> str:
    """Return what a log may say of a request that a model failed at: its message may quote the request.

    Of a model in Python that is the exception's type and the line of its code, of others what precedes a first colon.
    """
    try:
        said = str(orjson.loads(body)["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "Triton gave no reason"
    message, _, called = said.partition(_TRACEBACK)
    raised, line = _EXCEPTION.search(message), _CODE_LINE.search(called)
    kind = raised[1] if raised else message.partition(":")[0][:_LOGGED]
    return kind + (f" ({line[1]} line {line[2]})" if line else "")


def _rejection(model: str, status: int, body: bytes) -> ApiError:
    if status < 500 or status == 503:
        return of_triton(status, error_message(body))
    logger.error("model %s failed", model, extra={"status": status, "reason": logged_reason(body)})
    return ApiError("model_error", f"model {model!r} failed on this request; the reason is in the service's log")


def _from_upstream(err: UpstreamError) -> ApiError:
    if isinstance(err, UpstreamTimeoutError) and not err.retryable:
        return ApiError(
            "upstream_timeout", "Triton did not respond in time; send less at once, or raise ANSWER_SECONDS"
        )
    if isinstance(err, ResponseTooLargeError):
        return ApiError("body_too_large", f"{err} (MAX_BODY_BYTES); send a smaller image")
    return triton_is_away()


async def _read(response: Response) -> bytes:
    try:
        return await response.read()
    except UpstreamError as err:
        raise _from_upstream(err) from err


def _path(model: str) -> str:
    return f"/v2/models/{quote(model, safe='')}"
