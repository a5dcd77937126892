"""How a service scales, read from the fields that KServe and Knative read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from switchyard.local.errors import LocalError
from switchyard.local.plan import durations

WINDOW = "autoscaling.knative.dev/window"
SCALE_DOWN_DELAY = "autoscaling.knative.dev/scale-down-delay"
RETENTION = "autoscaling.knative.dev/scale-to-zero-pod-retention-period"
PINNED = "switchyard.dev/pinned"
PROGRESS_DEADLINE = "serving.knative.dev/progress-deadline"

# Defaults of Knative's config-autoscaler, config-deployment and config-defaults.
_DEFAULT_WINDOW = 60.0
_DEFAULT_PROGRESS_DEADLINE = 600.0
_DEFAULT_TIMEOUT = 300.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """When a service runs and how many requests it takes at once; times in seconds.

    A service without requests keeps its process for ``idle``; ``concurrency`` is a hard limit (0: none); ``timeout`` is
    how long a request may wait for the first byte of its response. One that is ``pinned`` never makes room for others.
    """

    minimum: int
    concurrency: int
    timeout: float
    idle: float
    progress_deadline: float
    always_pinned: bool = False

    @property
    def pinned(self) -> bool:
        return self.minimum > 0 or self.always_pinned


def read(metadata: Mapping[str, Any], predictor: Mapping[str, Any]) -> Scale:
    """Read the scale of an InferenceService; the predictor's annotations win over the service's.

    The idle time is window + scale-down-delay + scale-to-zero-pod-retention-period. Source: Knative scales to zero only
    when the stable window holds no request, then takes the highest target of the last scale-down-delay
    (``pkg/autoscaler/scaling/autoscaler.go``, ``Scale``), then keeps the last pod for the retention period
    (``pkg/reconciler/autoscaling/kpa/scaler.go``, ``handleScaleToZero``). The 30 s scale-to-zero grace is not added: it
    is the time for the activator to enter the request path, where local mode's always is, as with
    target-burst-capacity -1.

    Raises:
        LocalError: a number or duration cannot be parsed.
    """
    name = metadata["name"]
    annotations = {**(metadata.get("annotations") or {}), **(predictor.get("annotations") or {})}

    def seconds(key: str, default: float) -> float:
        if key not in annotations:
            return default
        try:
            value = durations.parse(str(annotations[key]))
        except durations.DurationError as err:
            raise LocalError(f"InferenceService {name}: annotation {key}: {err}") from err
        if value < 0:
            raise LocalError(
                f"InferenceService {name}: annotation {key} is {annotations[key]!r}; it cannot be negative"
            )
        return value

    def count(key: str, default: int) -> int:
        value = predictor.get(key)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise LocalError(
                f"InferenceService {name}: spec.predictor.{key} is {value!r}; use a whole number, 0 or more"
            )
        return value

    return Scale(
        minimum=min(count("minReplicas", 1), 1),  # more are a cluster's; here one process takes all requests
        concurrency=count("containerConcurrency", 0),
        # Knative also takes 0 for unset (pkg/apis/serving/v1/revision_defaults.go).
        timeout=float(count("timeout", int(_DEFAULT_TIMEOUT)) or _DEFAULT_TIMEOUT),
        idle=seconds(WINDOW, _DEFAULT_WINDOW) + seconds(SCALE_DOWN_DELAY, 0.0) + seconds(RETENTION, 0.0),
        progress_deadline=seconds(PROGRESS_DEADLINE, _DEFAULT_PROGRESS_DEADLINE),
        always_pinned=str(annotations.get(PINNED, "false")).lower() == "true",
    )
