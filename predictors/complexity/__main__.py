"""``python -m predictors.complexity --model_name=NAME --fast=MODEL --reasoning=MODEL --share=0.35``."""

import logging
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

import uvloop
from prometheus_client import CollectorRegistry

from predictors.complexity import server
from predictors.complexity.application import Door, Meter
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
from switchyard.http.asgi import App
from switchyard.http.client import Client
from switchyard.settings import SettingsError
from switchyard.store.factory import open_store
from switchyard.telemetry import logs, tracing
from switchyard.telemetry.metrics import RoutingMetrics

logger = logging.getLogger(__name__)


async def serve(arguments: Arguments, settings: Settings, own: ComplexitySettings, clock: StartClock) -> None:
    """Serves until a signal."""
    registry = CollectorRegistry()
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

    def door(is_open: Callable[[], bool]) -> App:
        return Door(
            name=arguments.model_name,
            decider=decider,
            shadow=shadow,
            meter=meter,
            registry=registry,
            tracer=tracing.configure(arguments.model_name),
            is_open=is_open,
            max_body_bytes=own.max_body_bytes,
            max_requests=settings.max_concurrent_requests,
        )

    try:
        await server.serve(door, host=settings.host, port=arguments.http_port, grace_seconds=settings.grace_seconds)
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
        chance=random.Random(),  # noqa: S311 - a sample, not a secret
    )


def main() -> None:
    try:
        settings = Settings.from_env(os.environ)
        own = ComplexitySettings.from_env(os.environ)
        arguments = parse(sys.argv[1:])
        logs.configure(arguments.model_name, settings.log_level)
        clock = StartClock(arguments.model_name, process_start())
        clock.done("import")
        uvloop.run(serve(arguments, settings, own, clock))
    except (SettingsError, ValueError) as err:
        sys.exit(f"{err}")


if __name__ == "__main__":
    main()
