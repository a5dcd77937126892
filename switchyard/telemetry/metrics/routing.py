"""Metrics of the complexity predictor."""

from prometheus_client import CollectorRegistry

from switchyard.telemetry.metrics.families import Families

SCORE_BUCKETS = (-3.0, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
DECISION_BUCKETS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class RoutingMetrics:
    """Metrics of the complexity predictor; ``tier`` is fast or reasoning, ``reason`` one of a fixed list."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = Families(registry)
        self.decisions = make.counter(
            "routing_decisions", "Requests by the tier that was chosen and why.", "tier", "reason"
        )
        self.share = make.gauge("routing_share", "Part of the last 500 free choices that went to reasoning.")
        self.target = make.gauge("routing_share_target", "The share that was asked for.")
        self.score = make.histogram("routing_score", "Scores of the classifier.", buckets=SCORE_BUCKETS)
        self.seconds = make.histogram(
            "routing_decision_seconds", "From a request's arrival until its tier was chosen.", buckets=DECISION_BUCKETS
        )
        self.moves = make.counter("routing_moves", "Conversations that went on with the other tier.", "tier")
        self.shadow = make.counter(
            "routing_shadow", "Chats asked of both tiers: agreed, disagreed, failed, skipped.", "result"
        )
