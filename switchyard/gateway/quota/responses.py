"""What clients are told of their limits: headers as OpenAI and Anthropic have them, and errors."""

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from switchyard.gateway.quota.claims import AppliedLimit
from switchyard.gateway.tenants.limits import SCALES
from switchyard.http.api_errors import ApiError, Shape
from switchyard.http.headers import Header
from switchyard.store.ledger import Claim, Denial, Level

_UNITS = {
    "requests": "requests",
    "in_flight": "requests in flight",
    "tokens": "tokens",
    "input_tokens": "tokens of input",
    "output_tokens": "tokens of output",
    "inferences": "inferences",
    "megapixels": "megapixels",
    "dollars": "US dollars",
}
_PARTS = ("limit", "remaining", "reset")
_OPENAI = {unit: [f"x-ratelimit-{part}-{unit}".encode() for part in _PARTS] for unit in ("requests", "tokens")}
_ANTHROPIC = {
    unit: [f"anthropic-ratelimit-{unit.replace('_', '-')}-{part}".encode() for part in _PARTS]
    for unit in ("requests", "tokens", "input_tokens", "output_tokens")
}


def denied(limits: Sequence[AppliedLimit], claims: Sequence[Claim], denial: Denial, zone: str, now: float) -> ApiError:
    """Return the error for a call that does not fit: it names the limit, its window and when it frees."""
    one, claim, level = limits[denial.denied], claims[denial.denied], denial.levels[denial.denied]
    limit = one.limit
    window = f" per {limit.per}" if limit.per else ""
    models = f" of {', '.join(limit.models)}" if limit.models else ""
    has = f"{one.owner} may have {limit.most_units} {_UNITS[limit.unit]}{window}{models}"
    scale = SCALES.get(limit.unit, 1)
    taken = f"{_shown(level.used, scale)} are taken and this request takes {_shown(claim.amount, scale)}"
    if limit.per is None:
        return ApiError("rate_limit_exceeded", f"{has}, and {taken}; try again when another has ended", retry_after=1)
    if limit.per == "minute":
        after = min(max(1.0, level.free_in), 60.0)  # official clients do not wait for longer
        return ApiError("rate_limit_exceeded", f"{has}, and {taken}; try again in {after:.0f} s", retry_after=after)
    ends = datetime.fromtimestamp(one.ends, ZoneInfo(zone)).isoformat(timespec="minutes")
    message = f"{has}, and {taken}; the next {limit.per} begins at {ends} ({zone})"
    return ApiError("insufficient_quota", message, retry_after=max(1.0, one.ends - now))


def _shown(amount: int, scale: int) -> str:
    if scale == 1:
        return str(amount)
    return f"{amount / scale:.2f}" if amount * 10 >= scale or not amount else f"{amount / scale:.9f}".rstrip("0")


def headers(limits: Sequence[AppliedLimit], levels: Sequence[Level], shape: Shape, now: float) -> list[Header]:
    """Return the rate limit headers of a response: of each unit the limit of which the least part remains.

    https://platform.openai.com/docs/guides/rate-limits and https://docs.anthropic.com/en/api/rate-limits
    """
    anthropic = shape == "anthropic"
    names = _ANTHROPIC if anthropic else _OPENAI
    tightest: dict[str, tuple[float, AppliedLimit, Level]] = {}
    for one, level in zip(limits, levels, strict=True):
        unit = one.limit.unit
        if unit not in names or one.limit.shadow:
            continue
        part = (one.most - level.used) / one.most
        if unit not in tightest or part < tightest[unit][0]:
            tightest[unit] = part, one, level
    found: list[Header] = []
    for name, (_, one, level) in tightest.items():
        limit, remaining, reset = names[name]
        after = _reset(one, level, now)
        found += (
            (limit, b"%d" % one.most),
            (remaining, b"%d" % max(0, one.most - level.used)),
            (reset, (_time(now + after) if anthropic else _duration(after)).encode()),
        )
    return found


def _reset(one: AppliedLimit, level: Level, now: float) -> float:
    """Return in how many seconds nothing of the limit is taken any more, if nobody takes more of it."""
    if not level.used:
        return 0.0
    return 60.0 if one.limit.per == "minute" else max(0.0, one.ends - now)


def _duration(seconds: float) -> str:
    """Write a duration as OpenAI does: ``1h2m3s``, ``6m0s``, ``1s``."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{rest}s"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
