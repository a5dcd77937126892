"""What an example is, and which examples are held out from training."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Literal

Tier = Literal["fast", "reasoning"]
Kind = Literal["arithmetic", "comparison", "date", "json", "small talk"]
Message = dict[str, str]

HELD_OUT_SHARE = 12  # one conversation in so many


@dataclass(frozen=True)
class Example:
    """One conversation whose last question is to be answered."""

    kind: Kind
    question: str
    answer: str
    steps: tuple[str, ...] = ()
    history: tuple[Example, ...] = ()
    system: str = ""

    @property
    def conversation(self) -> str:
        """Everything the user says, which is what the split between training and examination hashes."""
        return " ".join([*(turn.question for turn in self.history), self.question])

    def reply(self, tier: Tier) -> str:
        """Return what the model of this tier should say."""
        if self.kind == "small talk":
            return self.answer
        steps = self.steps if tier == "reasoning" else ()
        if self.kind == "json":
            thought = {"steps": list(steps)} if steps else {}
            return json.dumps({**thought, "answer": int(self.answer)})
        return "\n".join([*steps, f"The answer is {self.answer}."])

    def messages(self, tier: Tier) -> list[Message]:
        """Return the chat up to and including the last question."""
        messages = [{"role": "system", "content": self.system}] if self.system else []
        for turn in self.history:
            messages.append({"role": "user", "content": turn.question})
            messages.append({"role": "assistant", "content": turn.reply(tier)})
        return [*messages, {"role": "user", "content": self.question}]


def held_out(conversation: str) -> bool:
    """Tell whether a conversation is for examination only: by a hash of its words, blind to case and punctuation."""
    words = re.findall(r"[a-z]+|\d|[-+*=<>]", conversation.lower())
    if len(words) < 5:  # "hello" and "thanks" have no variants to hold out
        return False
    return hashlib.sha256(" ".join(words).encode()).digest()[0] % HELD_OUT_SHARE == 0


def said(reply: str) -> str:
    """Return the answer that a reply states, or the reply itself where it states none."""
    found = re.findall(r"The answer is (.+?)\.(?:\s|$)", reply)
    return found[-1] if found else reply.strip()
