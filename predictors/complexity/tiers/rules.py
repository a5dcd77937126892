"""What decides before the classifier is asked: who chose a tier already, and what only one tier can do."""

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


class Ruled(NamedTuple):
    """A tier and the rule that chose it."""

    tier: Tier
    reason: Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Tiers:
    """The two models, and which names mean that the choice is ours.

    ``fast_window`` is the fast one's context in tokens, of which a text has one per ``characters_per_token``.
    """

    fast: str
    reasoning: str
    auto: frozenset[str] = frozenset(("auto",))
    fast_window: int = 2048
    characters_per_token: float = 3.0

    def model(self, tier: Tier) -> str:
        """The name of a tier's model."""
        return self.fast if tier == "fast" else self.reasoning

    def tokens(self, conversation: Conversation) -> int:
        """About how many tokens a conversation has."""
        return conversation.tokens + round(conversation.characters / self.characters_per_token)


def chosen_by_others(body: Mapping[str, Any], policy: str, tiers: Tiers) -> Ruled | None:
    """The tier that the client named, the tenant's policy holds or a flag of the request asks for.

    A name of neither tier is the caller's to treat; flags are those of OpenAI (``reasoning_effort``,
    ``reasoning.effort``), Anthropic (``thinking.type``) and vLLM (``chat_template_kwargs.enable_thinking``).
    """
    if body.get("model") == tiers.fast:
        return Ruled("fast", "explicit-model")
    if body.get("model") == tiers.reasoning:
        return Ruled("reasoning", "explicit-model")
    for tier in get_args(Tier):
        if policy == tier:
            return Ruled(tier, "tenant-policy")
    wanted = _flag(body)
    return None if wanted is None else Ruled("reasoning" if wanted else "fast", "reasoning-flag")


def too_long_for_fast(body: Mapping[str, Any], conversation: Conversation, tiers: Tiers) -> Ruled | None:
    """The reasoning tier for what the fast one has no room for, the answer included."""
    answer = next((body[name] for name in _LIMITS if isinstance(body.get(name), int)), 0)
    if tiers.tokens(conversation) + answer <= tiers.fast_window:
        return None
    return Ruled("reasoning", "context-length")


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
