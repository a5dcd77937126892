"""One decision: rules, then affinity, then score against share; anything that fails goes to the reasoning tier."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from predictors.complexity.classifier.scorers import Scorer
from predictors.complexity.classifier.tokens import Text
from predictors.complexity.tiers import affinity, rules
from predictors.complexity.tiers.affinity import Affinity, State
from predictors.complexity.tiers.conversation import Conversation
from predictors.complexity.tiers.rules import Reason, Tier, Tiers
from predictors.complexity.tiers.share import ShareController
from switchyard.store.contract import StoreError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a decision is made from: the body, the conversation in it, and what the gateway said of its sender."""

    body: Mapping[str, Any]
    conversation: Conversation
    policy: str = ""
    tenant: str = ""
    named: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """The tier and why; ``score`` if the classifier was asked; ``key`` by which the conversation is remembered."""

    tier: Tier
    reason: Reason
    score: float | None = None
    key: str = ""
    moved: bool = False


class Decider:
    """``clock`` gives seconds since the epoch."""

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

    async def decide(self, request: Request) -> Decision:
        """The tier for a request; never fails."""
        body, conversation = request.body, request.conversation
        ruled = rules.chosen_by_others(body, request.policy, self.tiers)
        before, key = affinity.keys(body, conversation, request.named, request.tenant)
        if ruled is not None:
            return Decision(tier=ruled.tier, reason=ruled.reason, key=key)
        try:
            known = await self._affinity.recall(before) if _may_be_known(request) else None
        except StoreError as err:
            logger.warning("no affinity: %s", err)
            return Decision(tier="reasoning", reason="store-error")  # key: what is unknown is not written over
        decision = self._free(request, key, known)
        if decision.reason not in ("classifier", "share", "classifier-error"):
            self.share.count(decision.tier == "reasoning")
        return decision

    def turned_over(self, request: Request) -> Decision | None:
        """The other tier for a request that its own did not answer; None for one that is addressed to neither."""
        model = request.body.get("model")
        if model not in (self.tiers.fast, self.tiers.reasoning):
            return None
        tier: Tier = "reasoning" if model == self.tiers.fast else "fast"
        _, key = affinity.keys(request.body, request.conversation, request.named, request.tenant)
        return Decision(tier=tier, reason="failover", key=key, moved=True)

    async def remember(self, request: Request, decision: Decision) -> None:
        """Notes where a conversation is now; failing to costs the next turn its affinity, so it is only logged."""
        if not decision.key:
            return
        state = State(decision.tier, self._clock(), self.tiers.tokens(request.conversation))
        try:
            await self._affinity.remember(decision.key, state)
        except StoreError as err:
            logger.warning("affinity was not kept: %s", err)

    def _free(self, request: Request, key: str, known: State | None) -> Decision:
        """The decision on a request for which nobody chose a tier."""
        conversation = request.conversation
        before: Tier | None = known.tier if known else None
        if ruled := rules.too_long_for_fast(request.body, conversation, self.tiers):
            return Decision(tier=ruled.tier, reason=ruled.reason, key=key, moved=before == "fast")
        if conversation.tool_result:
            return Decision(tier=before or "reasoning", reason="tool-result", key=key)
        if not conversation.readable:
            return Decision(tier="reasoning", reason="unreadable", key=key)
        fresh = _opens_topic(conversation)
        now = self._clock()
        if known and known.tier == "reasoning" and known.warm(now) and not fresh:
            return Decision(tier="reasoning", reason="affinity", key=key)
        try:
            turns = conversation.user[-1:] if fresh else conversation.user
            score = self._scorer.score(Text.of(*turns))
            verdict = self.share.decide(score, known.lean(now) if known else 0.0)
        except Exception:
            logger.exception("the classifier failed")
            return Decision(tier="reasoning", reason="classifier-error", key=key)
        tier: Tier = "reasoning" if verdict.reasoning else "fast"
        reason: Reason = "share" if verdict.bound else "classifier"
        return Decision(tier=tier, reason=reason, score=score, key=key, moved=before is not None and before != tier)


def _may_be_known(request: Request) -> bool:
    conversation = request.conversation
    return conversation.answered or conversation.tool_result or len(conversation.user) > 1 or bool(request.named)


def _opens_topic(conversation: Conversation) -> bool:
    if len(conversation.user) < 2:
        return False
    return affinity.opens_topic(conversation.user[-1], "\n".join(conversation.user[:-1]))
