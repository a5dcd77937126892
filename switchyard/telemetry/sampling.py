"""Which requests are traced: decided by the process where a trace begins, and followed by those behind it.

The variables are OpenTelemetry's, ``OTEL_TRACES_SAMPLER`` and ``OTEL_TRACES_SAMPLER_ARG``
(https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration).
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from switchyard.settings import SettingsError

SAMPLER, ARGUMENT = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"
_PARENT_BASED = "parentbased_"
_NAMES = ("always_on", "always_off", "traceidratio")
_WHOLE = 2**64


@dataclass(frozen=True, slots=True)
class Sampler:
    """Chooses ``bound`` of 2**64 traces that begin here; ``follows_callers`` is false where callers are strangers."""

    bound: int = _WHOLE
    follows_callers: bool = True

    @classmethod
    def from_env(cls, environ: Mapping[str, str], *, follows_callers: bool = True) -> Self:
        """Read the standard variables; without them every trace that begins here is sampled.

        A process that follows its callers does so whatever the variable says: one that decided again would cut traces
        in pieces. One that does not is the place where traces begin.

        Raises:
            SettingsError: a variable has no value of the standard's.
        """
        name = environ.get(SAMPLER, "").strip() or _PARENT_BASED + "always_on"
        kind = name.removeprefix(_PARENT_BASED)
        if kind not in _NAMES:
            names = ", ".join((*_NAMES, *(_PARENT_BASED + one for one in _NAMES)))
            raise SettingsError(f"{SAMPLER} is {name!r}; use {names}")
        ratio = {"always_on": 1.0, "always_off": 0.0}.get(kind)
        ratio = _ratio(environ.get(ARGUMENT, "").strip() or "1") if ratio is None else ratio
        return cls(round(ratio * _WHOLE), follows_callers)

    def begins(self) -> bool:
        """Decide on a trace that begins here.

        By a number of our own and not by the trace's id, which a client can choose.
        """
        return random.getrandbits(64) < self.bound


def _ratio(text: str) -> float:
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        raise SettingsError(f"{ARGUMENT} is {text!r}; use a number from 0 to 1")
    return ratio
