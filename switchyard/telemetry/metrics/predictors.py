"""Metrics of every predictor."""

from prometheus_client import CollectorRegistry

from switchyard.telemetry.metrics.families import Families, load_time


class InferenceMetrics:
    """Metrics of inference, the same for all predictors."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = Families(registry)
        self.requests = make.counter(
            "inference_requests",
            "Requests: ok, rejected (4xx), failed (5xx), cancelled (the client disconnected).",
            "model",
            "protocol",
            "outcome",
        )
        self.latency = make.histogram("inference_latency_seconds", "From request to last byte.", "model", "protocol")
        self.in_flight = make.gauge("inference_requests_in_flight", "Requests that are being answered now.", "model")
        self.gpu_utilization = make.scraped(
            "gpu_utilization", "Share of time that the device was busy, 0..1; absent without a GPU.", "device"
        )
        self.gpu_memory_used = make.scraped(
            "gpu_memory_used_bytes", "Memory of the device that is in use, by whomever.", "device"
        )
        self.gpu_memory_total = make.scraped("gpu_memory_total_bytes", "Memory that the device has.", "device")
        self.load_time = load_time(make)
        self.load_failures = make.counter(
            "model_load_failures",
            "Loads in Triton that failed: by the model's `content`, or as Triton was `unreachable`.",
            "model",
            "reason",
        )
