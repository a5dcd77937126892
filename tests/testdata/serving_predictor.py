"""A predictor on ``predictors.serving`` without an engine: ``python serving_predictor.py HTTP_PORT GRPC_PORT``.

KServe's routes are real; under /openai every path says how long the body was.
"""

import sys

from kserve import Model
from prometheus_client import CollectorRegistry

from predictors.llm.request_check import RequestCheck
from predictors.serving.admission import Admission
from predictors.serving.application import Application
from predictors.serving.server import PredictorServer, run_to_end
from switchyard.http.asgi import App, Receive, Scope, Send
from switchyard.telemetry.metrics.predictors import InferenceMetrics
from switchyard.telemetry.tracing import DisabledTracer


async def length(scope: Scope, receive: Receive, send: Send) -> None:
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"%d" % size})


async def main(http_port: int, grpc_port: int) -> int:
    model = Model("stub")
    model.ready = True
    server = PredictorServer(host="127.0.0.1", http_port=http_port, grpc_port=grpc_port, grace_seconds=5)
    admission = Admission("stub", 64, InferenceMetrics(CollectorRegistry()), DisabledTracer())

    def application(kserve: App) -> App:
        return Application(openai=length, kserve=kserve, admission=admission)

    return 0 if await server.run(model, application, check=RequestCheck(None, lambda *_: None)) else 1


if __name__ == "__main__":
    sys.exit(run_to_end(main(int(sys.argv[1]), int(sys.argv[2]))))
