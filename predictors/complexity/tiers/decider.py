"""One decision: rules, then affinity, then score against share; every failure goes to the reasoning tier."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from predictors.complexity.classifier.scorers import Scorer
from predictors.complexity.classifier.tokens import Text
from predictors.complexity.tiers import affinity, rules
from predictors.complexity.tiers.affinity import Affinity, ConversationState
from predictors.complexity.tiers.conversation import Conversation
from predictors.complexity.tiers.rules import Reason, Tier, Tiers
from predictors.complexity.tiers.share import ShareController
from switchyard.store.contract import StoreError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class RoutingRequest:
    """The input of a decision: the body, its conversation, and what the gateway knows of the sender."""

    body: Mapping[str, Any]
    conversation: Conversation
    policy: str = ""
    tenant: str = ""
    named: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """The tier and why; ``score`` if the classifier ran; ``key`` under which the conversation is remembered."""

    tier: Tier
    reason: Reason
    score: float | None = None
    key: str = ""
    moved: bool = False


class Decider:
    """Decides on requests; ``clock`` returns seconds since the epoch."""

    def __init__(
        self,
        *,
        tiers: Tiers,
        scorer: Scorer,
        share: ShareController,
        affinity: Affinity,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.tiers = tiers
        self.share = share
        self._scorer = scorer
        self._affinity = affinity
        self._clock = clock

    async def decide(self, request: RoutingRequest) -> Decision:
        """Return the tier for a request; never fails."""
        body, conversation = request.body, request.conversation
        # The order of docs/concepts/routing.md: whoever chose comes first, and costs no look into the store.
        ruled = rules.chosen_by_others(body, request.policy, self.tiers)
        before, key = affinity.keys(body, conversation, request.named, request.tenant)
        if ruled is not None:
            return Decision(tier=ruled.tier, reason=ruled.reason, key=key)
        try:
            known = await self._affinity.recall(before) if _may_be_known(request) else None
        except StoreError as err:
            logger.warning("no affinity: %s", err)
            return Decision(tier="reasoning", reason="store-error")  # no key: an unknown state must not be overwritten
        decision = self._free(request, key, known)
        # `share.decide` has counted its own decisions; a failed classifier is no choice that later ones must offset.
        if decision.reason not in ("classifier", "share", "classifier-error"):
            self.share.count(decision.tier == "reasoning")
        return decision

    def fail_over(self, request: RoutingRequest) -> Decision | None:
        """Return the other tier for a request whose tier failed; None for one that is addressed to neither."""
        model = request.body.get("model")
        if model not in (self.tiers.fast, self.tiers.reasoning):
            return None
        tier: Tier = "reasoning" if model == self.tiers.fast else "fast"
        _, key = affinity.keys(request.body, request.conversation, request.named, request.tenant)
        return Decision(tier=tier, reason="failover", key=key, moved=True)

    async def remember(self, request: RoutingRequest, decision: Decision) -> None:
        """Store where a conversation is now; a failure only costs the next turn its affinity, so it is logged."""
        if not decision.key:
            return
        state = ConversationState(decision.tier, self._clock(), self.tiers.tokens(request.conversation))
        try:
            await self._affinity.remember(decision.key, state)
        except StoreError as err:
            logger.warning("affinity was not kept: %s", err)

    def _free(self, request: RoutingRequest, key: str, known: ConversationState | None) -> Decision:
        """Decide on a request for which no rule chose a tier."""
        conversation = request.conversation
        before: Tier | None = known.tier if known else None
        # Before affinity: what does not fit into the fast model's context fails there, whoever responded last.
        if ruled := rules.too_long_for_fast(request.body, conversation, self.tiers):
            return Decision(tier=ruled.tier, reason=ruled.reason, key=key, moved=before == "fast")
        # The call that these results belong to was made by that model; the other one never offered it.
        if conversation.tool_result:
            return Decision(tier=before or "reasoning", reason="tool-result", key=key)
        if not conversation.readable:
            return Decision(tier="reasoning", reason="unreadable", key=key)
        fresh = _opens_topic(conversation)
        now = self._clock()
        # Only reasoning keeps a conversation without a score. On the fast tier each turn may be the first hard one, so
        # it is scored, with a bias for the prefix that the tier has cached.
        if known and known.tier == "reasoning" and known.warm(now) and not fresh:
            return Decision(tier="reasoning", reason="affinity", key=key)
        try:
            turns = conversation.user[-1:] if fresh else conversation.user
            score = self._scorer.score(Text.of(*turns))
            decision = self.share.decide(score, known.bias(now) if known else 0.0)
        except Exception:
            # Whatever it is: a wrong tier costs money or quality, an error costs the answer.
            logger.exception("the classifier failed")
            return Decision(tier="reasoning", reason="classifier-error", key=key)
        tier: Tier = "reasoning" if decision.reasoning else "fast"
        reason: Reason = "share" if decision.clamped else "classifier"
        return Decision(tier=tier, reason=reason, score=score, key=key, moved=before is not None and before != tier)


def _may_be_known(request: RoutingRequest) -> bool:
    conversation = request.conversation
    return conversation.answered or conversation.tool_result or len(conversation.user) > 1 or bool(request.named)


def _opens_topic(conversation: Conversation) -> bool:
    if len(conversation.user) < 2:
        return False
    return affinity.opens_topic(conversation.user[-1], "\n".join(conversation.user[:-1]))
