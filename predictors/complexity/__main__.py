"""``python -m predictors.complexity --model_name=NAME --fast=MODEL --reasoning=MODEL --share=0.35``.

Not KServe's ModelServer: this predictor has no tensors and no model that KServe could run, and importing the SDK would
cost more time and memory than everything else here together. The routes that KServe and its probes ask are in
``application``.
"""

import logging
import os
import random
import sys
from pathlib import Path

import uvloop

from predictors.complexity.application import Application, Meter
from predictors.complexity.arguments import Arguments, parse
from predictors.complexity.classifier.scorers import make_scorer_or_length
from predictors.complexity.settings import ComplexitySettings
from predictors.complexity.tiers.affinity import Affinity
from predictors.complexity.tiers.decider import Decider
from predictors.complexity.tiers.rules import Tiers
from predictors.complexity.tiers.shadow import Shadow
from predictors.complexity.tiers.share import ShareController
from predictors.serving.settings import Settings
from predictors.serving.start_clock import StartClock, process_start
from switchyard.http.client import Client
from switchyard.http.request_log import logged
from switchyard.http.server import Server, ServerLimits
from switchyard.http.server.lifecycle import serve_until_signal
from switchyard.http.web_access import loopback_access
from switchyard.memory import settle_for_serving
from switchyard.settings import SettingsError, warn_of_misspelled
from switchyard.store.factory import open_store
from switchyard.telemetry import logs, tracing
from switchyard.telemetry.metrics.routing import RoutingMetrics
from switchyard.telemetry.process import registry_of

logger = logging.getLogger(__name__)


async def serve(arguments: Arguments, settings: Settings, own: ComplexitySettings, clock: StartClock) -> None:
    """Serve until a signal."""
    registry = registry_of("complexity")
    meter = Meter(arguments.model_name, registry)
    scorer, reason = make_scorer_or_length(arguments.scorer, arguments.model_dir, arguments.domain)
    if reason:
        logger.error("length decides instead of the model: %s", reason)
    tiers = Tiers(
        fast=arguments.fast,
        reasoning=arguments.reasoning,
        auto=frozenset(arguments.auto),
        fast_window=arguments.fast_window,
        characters_per_token=arguments.characters_per_token,
    )
    share = ShareController(arguments.share, scorer.quantiles)
    meter.routing.target.set(arguments.share)
    meter.routing.share.set(arguments.share)
    store, client = open_store(own.store_url), Client()
    shadow = _shadow(own, tiers, client, meter.routing)
    decider = Decider(tiers=tiers, scorer=scorer, share=share, affinity=Affinity(store))
    clock.done("load")
    clock.publish(meter.inference)

    application = Application(
        name=arguments.model_name,
        decider=decider,
        shadow=shadow,
        meter=meter,
        registry=registry,
        tracer=tracing.configure(arguments.model_name),
        max_body_bytes=own.max_body_bytes,
        max_requests=settings.max_concurrent_requests,
    )

    def on_drain() -> None:
        application.draining = True

    limits = ServerLimits(body_memory=ServerLimits.memory_for(own.max_body_bytes))
    server = Server(logged(application.handle), limits, access=loopback_access(settings.host))
    try:
        await server.listen(settings.host, arguments.http_port)
        settle_for_serving()
        await serve_until_signal(server, drain_seconds=0, grace_seconds=settings.grace_seconds, on_drain=on_drain)
    finally:
        if shadow is not None:
            await shadow.aclose()
        await client.aclose()
        await store.aclose()


def _shadow(own: ComplexitySettings, tiers: Tiers, client: Client, metrics: RoutingMetrics) -> Shadow | None:
    if not own.shadow_percent:
        return None
    return Shadow(
        client=client,
        tiers=tiers,
        urls=(own.shadow_fast_url, own.shadow_reasoning_url),
        share=own.shadow_percent / 100,
        file=Path(own.shadow_file),
        most_bytes=own.shadow_bytes,
        metrics=metrics,
        rng=random.Random(),  # noqa: S311 - a sample, not a secret
    )


def main() -> None:
    try:
        settings = Settings.from_env(os.environ)
        own = ComplexitySettings.from_env(os.environ)
        arguments = parse(sys.argv[1:])
        logs.configure(arguments.model_name, settings.log_level)
        warn_of_misspelled(os.environ, Settings, ComplexitySettings)
        clock = StartClock(arguments.model_name, process_start())
        clock.done("import")
        uvloop.run(serve(arguments, settings, own, clock))
    except (ValueError, OSError) as err:
        print(err, file=sys.stderr)
        sys.exit(1 if isinstance(err, OSError) else SettingsError.exit_code)


if __name__ == "__main__":
    main()
