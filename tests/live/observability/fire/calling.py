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

    def wait_for(self, *alerts: str, muted: Sequence[str] = (), **labels: str) -> None:
        """Wait until alerts with ``labels`` have arrived, and those ``muted`` too, or another one keeps them back."""

        def missing() -> list[str]:
            sent = [message.labels for message in self.pager.messages if message.status == "firing"]
            arrived, kept = (
                {found["alertname"] for found in those if labels.items() <= found.items()}
                for those in (sent, [*sent, *self.watch.inhibited()])
            )
            return [alert for alert in alerts if alert not in arrived] + [one for one in muted if one not in kept]

        try:
            eventually(lambda: not missing(), "all arrive", SECONDS)
        except AssertionError as err:
            raise AssertionError(f"not within {SECONDS:g} s: {missing()}\n{self.watch.logs()}") from err
        for alert in alerts:
            (first, *_) = self.pager.told(alert, **labels)
            assert first.annotations["runbook_url"].endswith(f"docs/runbooks/{alert}.md")
