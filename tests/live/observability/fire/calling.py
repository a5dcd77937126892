"""Whoever is called when something is broken: what arrives at the webhook, and what Alertmanager keeps back."""

from collections.abc import Sequence
from dataclasses import dataclass

from dashboards.alerting.rules import Clock
from tests.live.observability.fire.webhook import Receiver
from tests.live.observability.watching import Watch
from tests.live.processes import eventually

CLOCK = Clock(speed=20.0)  # of rules; thresholds are as they are
SECONDS = 240.0  # until all that is broken at once has arrived


@dataclass(frozen=True, slots=True, kw_only=True)
class OnCall:
    """``watch`` sees the faults, ``pager`` gets the messages."""

    watch: Watch
    pager: Receiver

    def wait_for(self, *alerts: str, muted: Sequence[str] = (), maybe: Sequence[str] = (), **labels: str) -> None:
        """Wait until alerts with ``labels`` have arrived, and Alertmanager keeps those ``muted`` back.

        One of ``muted`` may have arrived before what mutes it fired. One of ``maybe`` arrives or is kept back.
        """

        def missing() -> list[str]:
            kept = {found["alertname"] for found in self.watch.inhibited() if labels.items() <= found.items()}
            arrived = {alert for alert in (*alerts, *maybe) if any(self.pager.told(alert, **labels))}
            return [*({*alerts} - arrived), *({*maybe} - arrived - kept), *({*muted} - kept)]

        try:
            eventually(lambda: not missing(), "all arrive", SECONDS)
        except AssertionError as err:
            raise AssertionError(f"not within {SECONDS:g} s: {missing()}\n{self.watch.logs()}") from err
        for alert in alerts:
            (first, *_) = self.pager.told(alert, **labels)
            assert first.annotations["runbook_url"].endswith(f"docs/runbooks/{alert}.md")
