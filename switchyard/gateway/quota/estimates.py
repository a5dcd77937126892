"""What a call will take, guessed before it runs: bounded, and settled on what the engine counts."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import ceil
from typing import Any, NamedTuple

from switchyard.gateway.call import Asked, Call
from switchyard.gateway.quota.claims import Amounts
from switchyard.gateway.routes.table import Route
from switchyard.http.usage import Usage

_ASKED = ("max_completion_tokens", "max_tokens", "max_output_tokens", "max_new_tokens")
_TIMES = ("n", "best_of")
_CHOICES = 16_384  # at most, as vLLM has it; more are rejected by the model
_BYTES_PER_TOKEN = 4  # of English text; JSON around it makes up for languages that have fewer
_CONTEXT = 131_072  # tokens, of a model whose length nobody knows
_OUTPUT = 512  # tokens, of a call that sets no limit to a model that has responded to none yet
_PIXELS = 1_000_000
_FORGET = 0.98  # of the most that was seen, for each call: a long response counts for some 50 calls
_ENTRIES = 4096  # models by routes; a full table is begun anew
# They count and split text, which no accelerator does.
WITHOUT_TOKENS = frozenset(("/tokenize", "/detokenize", "/v1/messages/count_tokens"))
_INFERENCES = frozenset(("/v1/models/{model}:predict", "ModelInfer", "ModelStreamInfer"))


def is_limited(route: Route) -> bool:
    """Return whether calls of a route count for limits: inference does, questions about models do not."""
    if route.rpc:
        return route.rpc in _INFERENCES
    return route.by == "model" and route.method == "POST" and route.access == "use"


def asked_output(payload: Mapping[str, Any]) -> Asked:
    """Return what a request asks of its output.

    The largest of several fields counts, as engines differ in which they read. One that sets no limit, but says that
    it will not end before so many tokens, asks for these, or for all that the model can.
    """
    tokens = max(_counts(payload, _ASKED), default=None)
    if tokens is None:
        tokens = _CONTEXT if payload.get("ignore_eos") is True else max(_counts(payload, ("min_tokens",)), default=None)
    return Asked(tokens, min(max(_counts(payload, _TIMES), default=1), _CHOICES))


def _counts(payload: Mapping[str, Any], names: Iterable[str]) -> list[int]:
    values = [payload.get(name) for name in names]
    return [value for value in values if isinstance(value, int) and value > 0]


class _Seen(NamedTuple):
    """The most that calls of a route to a model used of late."""

    output: float = 0.0
    pixels: float = 0.0
    inferences: float = 0.0

    def with_call(self, usage: Usage, messages: int) -> "_Seen":
        now = (usage.completion_tokens, usage.pixels, usage.inferences)
        return _Seen(*(max(count / messages, before * _FORGET) for count, before in zip(now, self, strict=True)))


class Estimates:
    """Estimates of calls, which learn for each route and model what calls used."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], _Seen] = {}

    def of(self, call: Call) -> Amounts:
        """Return what a call will take, as far as can be known: of its body's size, its limits, and calls before it."""
        model, route = call.model, call.route
        assert model is not None
        seen = self._seen.get((route.label, model.name))
        if model.kind == "vision":
            return Amounts(inferences=_whole(seen), pixels=int(_PIXELS if seen is None else seen.pixels))
        inferences = _whole(seen) if route.label in _INFERENCES or route.rpc else ceil(seen.inferences if seen else 0)
        if route.path in WITHOUT_TOKENS:
            return Amounts()
        most = model.context_length or _CONTEXT
        prompt = min(len(call.body) // _BYTES_PER_TOKEN + 1, most)
        if model.kind == "embedding":
            return Amounts(input_tokens=prompt, inferences=inferences)
        asked = call.asked
        known = [] if seen is None else [int(seen.output) + 1]
        if asked.tokens is not None:
            known.append(min(asked.tokens, most) * asked.choices)
        output = min(*known, most * asked.choices) if known else min(_OUTPUT, most) * asked.choices
        pixels = int(seen.pixels) if seen else 0
        return Amounts(input_tokens=prompt, output_tokens=output, inferences=inferences, pixels=pixels)

    def most(self, call: Call, estimate: Amounts) -> Amounts:
        """Return ``estimate`` with all the output that a request asks for, whatever calls used of late."""
        asked, model = call.asked, call.model
        assert model is not None
        if asked.tokens is None or not estimate.output_tokens:
            return estimate
        output = min(asked.tokens, model.context_length or _CONTEXT) * asked.choices
        return estimate._replace(output_tokens=max(output, estimate.output_tokens))

    def learn(self, call: Call, usage: Usage) -> None:
        """Remember what a complete call used, for each message of a stream."""
        assert call.model is not None
        key = call.route.label, call.model.name
        if len(self._seen) >= _ENTRIES and key not in self._seen:
            self._seen.clear()
        self._seen[key] = self._seen.get(key, _Seen()).with_call(usage, call.messages)


def _whole(seen: _Seen | None) -> int:
    """Return the inferences of a call that makes one at least."""
    return max(1, ceil(seen.inferences) if seen else 1)


def used(usage: Usage, nano_dollars: int) -> Amounts:
    """Return what an engine counted, and what it costs, as amounts."""
    return Amounts(usage.prompt_tokens, usage.completion_tokens, usage.inferences, usage.pixels, nano_dollars)


def used_by_cut(call: Call, estimate: Amounts) -> Usage | None:
    """Return what a call used that its client has cut: what is known of it, else its estimate.

    None of a call that its model has not had. A stream without an event is no exception: an engine that searches beams
    sends the first one at the end.
    """
    if call.usage is not None or not call.sent:
        return call.usage
    return replace(as_usage(Amounts(*(amount * call.messages for amount in estimate))), estimated=True)


def as_usage(estimate: Amounts) -> Usage:
    """Return an estimate as if an engine had counted it."""
    return Usage(
        prompt_tokens=estimate.input_tokens,
        completion_tokens=estimate.output_tokens,
        inferences=estimate.inferences,
        pixels=estimate.pixels,
    )
