"""Keeps a conversation on its tier: the tier that responded last has its prefix cached, and knows its tools."""

import asyncio
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from predictors.complexity.tiers.conversation import Conversation
from predictors.complexity.tiers.rules import Tier
from switchyard.store.contract import Store, StoreError

RECALL_SECONDS = 0.25  # the longest that a request waits for the store before it goes on without
MAX_WRITES = 1024  # concurrent
REMEMBERED_SECONDS = 3600.0
IDLE_SECONDS = 300.0  # after which an engine has evicted the conversation from its cache
COLD_TOKENS = 16  # one block of vLLM's prefix cache: shorter prefixes are never reused
MARGIN_PER_TOKEN = 0.25 / 1000  # standard deviations of score
MAX_MARGIN = 1.0
FIRST_TURNS = 2  # the number of turns that identify a conversation

CONVERSATION_HEADER = b"x-switchyard-conversation"

_WORD = re.compile(r"[^\W\d_]{4,}")
_TOPIC_WORDS = 3  # a turn with fewer words says too little to open a topic
_COMMON_WORDS = (
    "what with from have your about which would could should please does into some than many much when where will give "
    "tell know want need make just only very each every they their there were been being after before over"
)
_BACK_WORDS = "it its this that these those them they he she his her again instead above previous same else also more"
_COMMON, _POINTS_BACK = frozenset(_COMMON_WORDS.split()), frozenset(_BACK_WORDS.split())


class ConversationStateError(Exception):
    """The stored state of a conversation cannot be read."""


@dataclass(frozen=True, slots=True)
class ConversationState:
    """The tier that responded last, when (seconds since the epoch), and the length of its prefix in tokens."""

    tier: Tier
    at: float
    tokens: int

    def dumps(self) -> bytes:
        """Return the stored form."""
        return orjson.dumps([self.tier, self.at, self.tokens])

    @staticmethod
    def loads(value: bytes) -> "ConversationState":
        """Read ``dumps``.

        Raises:
            ConversationStateError: it is something else.
        """
        try:
            tier, at, tokens = orjson.loads(value)
            if tier not in ("fast", "reasoning"):
                raise ValueError(tier)
            return ConversationState(tier, float(at), int(tokens))
        except (orjson.JSONDecodeError, ValueError, TypeError) as err:
            raise ConversationStateError(f"the state of a conversation cannot be read: {err}") from err

    def warm(self, now: float) -> bool:
        """Whether the tier still has a prefix worth keeping."""
        return now - self.at <= IDLE_SECONDS and self.tokens >= COLD_TOKENS

    def bias(self, now: float) -> float:
        """Return what is added to a score in favor of the last tier: more, the longer its prefix."""
        if not self.warm(now):
            return 0.0
        margin = min(MAX_MARGIN, MARGIN_PER_TOKEN * self.tokens)
        return margin if self.tier == "reasoning" else -margin


class Affinity:
    """The states of conversations, in a store that all replicas share."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._writing = 0

    async def recall(self, key: str) -> ConversationState | None:
        """Return the state of a conversation, None for an unknown one.

        Raises:
            StoreError: the store did not respond, or its value is not a state.
        """
        try:
            async with asyncio.timeout(RECALL_SECONDS):
                value = await self._store.get(key)
            return None if value is None else ConversationState.loads(value)
        except TimeoutError as err:
            raise StoreError(f"the store did not respond within {RECALL_SECONDS:g} s") from err
        except ConversationStateError as err:
            raise StoreError(str(err)) from err

    async def remember(self, key: str, state: ConversationState) -> None:
        """Store a state for an hour.

        Raises:
            StoreError: the store did not respond, or too many writes are waiting for it.
        """
        if self._writing >= MAX_WRITES:
            raise StoreError(f"the store lags: {self._writing} states are waiting to be written")
        self._writing += 1
        try:
            await self._store.put(key, state.dumps(), ttl=REMEMBERED_SECONDS)
        finally:
            self._writing -= 1


def keys(body: Mapping[str, Any], conversation: Conversation, named: str, tenant: str) -> tuple[str, str]:
    """Return the key of a conversation at its last turn, and the key from this turn on.

    The key is the conversation's own name if it has one: the header, or OpenAI's ``conversation``, ``prompt_cache_key``
    or ``metadata.conversation_id``. Otherwise it is a hash of how the conversation began, which at the first turn is
    that turn alone. The tenant is part of every key; no text is.
    """
    name = named or _name(body)
    if name:
        key = _hash(tenant, "named", name)
        return key, key
    # A chat completion does not name its conversation, but brings all of it each time, so its beginning names it. What
    # the first turn stored has the key of that turn alone, so the second turn looks there.
    begun = len(conversation.user) - 1
    before, now = (
        _hash(tenant, "begun", conversation.system, *conversation.user[: min(turns, FIRST_TURNS)])
        for turns in (max(begun, 1), begun + 1)
    )
    return before, now


def opens_topic(turn: str, earlier: str) -> bool:
    """Whether a turn changes the topic: it shares no content word with the earlier turns and does not refer to them."""
    words = turn.lower().split()
    if any(word.strip(".,;:!?'\"") in _POINTS_BACK for word in words):
        return False
    content = set(_WORD.findall(turn.lower())) - _COMMON
    return len(content) >= _TOPIC_WORDS and content.isdisjoint(_WORD.findall(earlier.lower()))


def _name(body: Mapping[str, Any]) -> str:
    conversation, metadata = body.get("conversation"), body.get("metadata")
    candidates = (
        conversation.get("id") if isinstance(conversation, Mapping) else conversation,
        body.get("prompt_cache_key"),
        metadata.get("conversation_id") if isinstance(metadata, Mapping) else None,
    )
    return next((name for name in candidates if isinstance(name, str) and name), "")


def _hash(*parts: str) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:  # with their lengths, so that ("ab", "c") and ("a", "bc") differ
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(encoded))
        digest.update(encoded)
    return f"conversation:{digest.hexdigest()}"
