"""Rules that decide before the classifier: who already chose a tier, and what only one tier can do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from predictors.complexity.tiers.conversation import Conversation

Tier = Literal["fast", "reasoning"]
Reason = Literal[
    "explicit-model",
    "tenant-policy",
    "reasoning-flag",
    "context-length",
    "tool-result",
    "affinity",
    "classifier",
    "share",
    "classifier-error",
    "store-error",
    "unreadable",
    "failover",
]

_NO_REASONING = frozenset(("none", "minimal"))
_LIMITS = ("max_completion_tokens", "max_output_tokens", "max_tokens", "max_tokens_to_sample")


class RuleMatch(NamedTuple):
    """A tier and the rule that chose it."""

    tier: Tier
    reason: Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Tiers:
    """The two models, and the names that leave the choice to this predictor.

    ``fast_window`` is the fast model's context in tokens; a text has one token per ``characters_per_token``.
    """

    fast: str
    reasoning: str
    auto: frozenset[str] = frozenset(("auto",))
    fast_window: int = 2048
    characters_per_token: float = 3.0

    def model(self, tier: Tier) -> str:
        """Return the name of a tier's model."""
        return self.fast if tier == "fast" else self.reasoning

    def tokens(self, conversation: Conversation) -> int:
        """Estimate the number of tokens of a conversation."""
        return conversation.tokens + round(conversation.characters / self.characters_per_token)


def chosen_by_others(body: Mapping[str, Any], policy: str, tiers: Tiers) -> RuleMatch | None:
    """Return the tier that the client named, the tenant's policy demands or a flag of the request asks for.

    Names of other models are left to the caller. Flags are those of OpenAI (``reasoning_effort``,
    ``reasoning.effort``), Anthropic (``thinking.type``) and vLLM (``chat_template_kwargs.enable_thinking``).
    """
    if body.get("model") == tiers.fast:
        return RuleMatch("fast", "explicit-model")
    if body.get("model") == tiers.reasoning:
        return RuleMatch("reasoning", "explicit-model")
    for tier in get_args(Tier):
        if policy == tier:
            return RuleMatch(tier, "tenant-policy")
    wanted = _flag(body)
    return None if wanted is None else RuleMatch("reasoning" if wanted else "fast", "reasoning-flag")


def too_long_for_fast(body: Mapping[str, Any], conversation: Conversation, tiers: Tiers) -> RuleMatch | None:
    """Return the reasoning tier when request and response exceed the fast model's context."""
    answer_tokens = next((body[name] for name in _LIMITS if isinstance(body.get(name), int)), 0)
    if tiers.tokens(conversation) + answer_tokens <= tiers.fast_window:
        return None
    return RuleMatch("reasoning", "context-length")


def _flag(body: Mapping[str, Any]) -> bool | None:
    effort = body.get("reasoning_effort") or _part(body, "reasoning", "effort")
    if isinstance(effort, str):
        return effort not in _NO_REASONING
    thinking = _part(body, "thinking", "type")
    if thinking in ("enabled", "disabled"):
        return bool(thinking == "enabled")
    enabled = _part(body, "chat_template_kwargs", "enable_thinking")
    return enabled if isinstance(enabled, bool) else None


def _part(body: Mapping[str, Any], name: str, key: str) -> object:
    value = body.get(name)
    return value.get(key) if isinstance(value, Mapping) else None
