"""``python -m predictors.llm --model_name=NAME --model_dir=DIR [any flag of vLLM]``."""

import asyncio
import os
import sys
from typing import TYPE_CHECKING

from predictors.llm.arguments import Arguments, parse
from predictors.llm.settings import LLMSettings
from predictors.serving.parent_death import children_die_with_me
from predictors.serving.settings import Settings
from predictors.serving.start_clock import StartClock, process_start
from switchyard.http.asgi.usage import UsageReport
from switchyard.settings import SettingsError, warn_of_misspelled
from switchyard.telemetry import logs, tracing

if TYPE_CHECKING:
    from predictors.llm.engine import Engine
    from predictors.serving.server import PredictorServer
    from switchyard.http.asgi import App

ENGINE_CHECK_SECONDS = 0.2


async def serve(arguments: Arguments, settings: Settings, llm: LLMSettings, clock: StartClock) -> int:
    """Load the model, warm up, serve until a signal; return the exit code."""
    from predictors.llm import engine as engines
    from predictors.llm.gpus import publish_gpus
    from predictors.llm.model import LanguageModel
    from predictors.llm.request_check import RequestCheck
    from predictors.llm.v2.generate import GenerateExtension
    from predictors.llm.v2.inputs import check_tensors
    from predictors.llm.v2.rpc import RpcExtension
    from predictors.serving.admission import Admission
    from predictors.serving.application import Application
    from predictors.serving.server import PredictorServer
    from switchyard.telemetry.metrics.predictors import InferenceMetrics
    from switchyard.telemetry.process import shared_registry

    logs.configure(arguments.model_name, settings.log_level)  # again, because some of these imports reset logging
    clock.done("import")
    metrics = InferenceMetrics(shared_registry("llm"))
    server = PredictorServer(
        host=settings.host,
        http_port=arguments.http_port,
        grpc_port=arguments.grpc_port,
        grace_seconds=settings.grace_seconds,
    )
    engine = await engines.start(arguments, llm)
    clock.done("load")
    try:
        tracer = tracing.configure(arguments.model_name)
        admission = Admission(arguments.model_name, settings.max_concurrent_requests, metrics, tracer)
        model = LanguageModel(arguments.model_name, engine, admission)
        # Before anything listens: whoever can connect finds a model that has answered once.
        await model.warm_up()
        clock.done("warm-up")

        def wrap(app: "App") -> "App":
            v2 = GenerateExtension(app, model.name, model.texts, generates=engine.generates, lost=lambda: engine.lost)
            return UsageReport(Application(openai=engine.app, kserve=v2, admission=admission))

        watcher = asyncio.ensure_future(_report_loss(engine, server))
        clock.done("ready")
        clock.publish(metrics)
        publish_gpus(metrics, os.environ)
        check = RequestCheck(engine.validate_input, check_tensors, engine.check_constraints)
        stopped = await server.run(model, wrap, check=check, extension=RpcExtension(model))
        watcher.cancel()
        return 0 if stopped else 1
    finally:
        # Last: the drain has finished what was in flight, and the engine's process ends with its work done.
        engine.stop()


async def _report_loss(engine: "Engine", server: "PredictorServer") -> None:
    while not engine.lost:  # noqa: ASYNC110 - vLLM has no callback for this
        await asyncio.sleep(ENGINE_CHECK_SECONDS)
    server.lost("vLLM's engine process has died")


def main() -> None:
    try:
        settings = Settings.from_env(os.environ)
        llm = LLMSettings.from_env(os.environ)
        arguments = parse(sys.argv[1:], llm.model_repository)
        logs.configure(arguments.model_name, settings.log_level)
        warn_of_misspelled(os.environ, Settings, LLMSettings)
        # Early: the hook must stand when the engine's process is forked.
        children_die_with_me()
        clock = StartClock(arguments.model_name, process_start())
        sys.argv = sys.argv[:1]  # kserve parses the command line when it is imported
        from predictors.serving.server import run_to_end

        code = run_to_end(serve(arguments, settings, llm, clock))
    except SettingsError as err:
        print(err, file=sys.stderr)
        code = err.exit_code
    sys.exit(code)


if __name__ == "__main__":
    main()
