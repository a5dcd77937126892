"""Trains the two small chat models from nothing but a seed."""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from predictors.llm.training.problems import Example, Tier, training_stream
from predictors.llm.training.tokenizer import save_tokenizer, train_tokenizer

TIERS: tuple[Tier, ...] = ("fast", "reasoning")
CONTEXT = 2048
BATCH_TOKENS = 1536
POOL = 4096  # examples sorted by length at a time, so that a batch holds little padding
TOKENIZER_EXAMPLES = 20_000
MATRIX_RATE, OTHER_RATE = 0.02, 0.003
WARM_UP = 0.02
RESUMED_RATE = 0.6  # of the peak rates: enough to learn on, not so much as to forget
STEPS_FADE = 0.35  # the share of its time after which the fast model sees no more steps
LONG_SHARE = 0.25
CHECKPOINT_SECONDS = 120.0
IGNORED = -100


class Sample(NamedTuple):
    """One tokenized conversation and where its last reply begins."""

    tokens: list[int]
    prompt: int


def shared_tokenizer(seed: int) -> PreTrainedTokenizerFast:
    """Learn the one tokenizer of both models."""
    streams = [(tier, itertools.islice(training_stream(seed, tier), TOKENIZER_EXAMPLES)) for tier in TIERS]
    chats = (
        [*example.messages(tier), {"content": example.reply(tier)}] for tier, stream in streams for example in stream
    )
    return train_tokenizer(message["content"] for chat in chats for message in chat)


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Build an untrained model of about a million parameters."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=320,
        num_hidden_layers=5,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=32,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        attn_implementation="sdpa",
    )
    return LlamaForCausalLM(config)


class Clock:
    """How much of the training time is over, in processor time, so that a busy machine trains no less."""

    def __init__(self, minutes: float) -> None:
        self.start = time.process_time()
        self._seconds = 60 * minutes

    @property
    def done(self) -> float:
        """The share of the time that is over; the run ends at one."""
        return (time.process_time() - self.start) / self._seconds


def lessons(seed: int, tier: Tier, clock: Clock, fade: float) -> Iterator[tuple[Example, Tier]]:
    """Yield training examples and how to answer each; the fast model sees steps at first, ever fewer, then none."""
    rng = random.Random(seed)
    for example in training_stream(seed, tier):
        style: Tier = "reasoning" if rng.random() * fade > clock.done else tier
        is_long = example.kind == "arithmetic" and len(example.steps) > 1
        # Without its steps a long problem costs time and teaches little.
        if style == "reasoning" or not is_long or rng.random() < LONG_SHARE:
            yield example, style


def batches(
    examples: Iterator[tuple[Example, Tier]], seed: int, tokenizer: PreTrainedTokenizerFast
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield token and target batches; only the tokens of the last reply are targets."""
    rng = random.Random(seed)
    while True:
        pool = list(itertools.islice(examples, POOL))
        prompts = [
            tokenizer.apply_chat_template(example.messages(style), tokenize=False, add_generation_prompt=True)
            for example, style in pool
        ]
        replies = [f"{example.reply(style)}{tokenizer.eos_token}" for example, style in pool]
        texts = [prompt + reply for prompt, reply in zip(prompts, replies, strict=True)]
        sizes = [len(ids) for ids in tokenizer(prompts).input_ids]
        samples = [Sample(ids, size) for ids, size in zip(tokenizer(texts).input_ids, sizes, strict=True)]
        samples.sort(key=lambda sample: len(sample.tokens))
        groups = list(_groups(samples))
        rng.shuffle(groups)
        yield from (_padded(group, tokenizer.pad_token_id) for group in groups)


def _groups(samples: list[Sample]) -> Iterator[list[Sample]]:
    group: list[Sample] = []
    for sample in samples:
        if (len(group) + 1) * len(sample.tokens) > BATCH_TOKENS:
            yield group
            group = []
        group.append(sample)
    yield group


def _padded(group: list[Sample], pad: int) -> tuple[Tensor, Tensor]:
    width = max(len(sample.tokens) for sample in group)
    tokens = torch.full((len(group), width), pad)
    targets = torch.full((len(group), width), IGNORED)
    for row, (ids, prompt) in enumerate(group):
        tokens[row, : len(ids)] = torch.tensor(ids)
        targets[row, prompt - 1 : len(ids) - 1] = tokens[row, prompt : len(ids)]
    return tokens, targets


def loss_of(model: LlamaForCausalLM, tokens: Tensor, targets: Tensor) -> Tensor:
    """Return the mean loss over the reply tokens, those of short replies weighted more.

    In a plain mean the steps of long sums drown the one token of a greeting that is a name, and names are not learned.
    """
    # Padding stands on the right, where causal attention does not look, so no mask is needed.
    hidden = model.model(input_ids=tokens, use_cache=False).last_hidden_state
    wanted = targets != IGNORED
    losses = torch.nn.functional.cross_entropy(model.lm_head(hidden[wanted]), targets[wanted], reduction="none")
    weights = wanted.sum(1, keepdim=True).expand_as(targets)[wanted].float().rsqrt()
    return (losses * weights).sum() / weights.sum()


def optimizers(model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices of the layers, where it learns arithmetic much faster, and AdamW for the rest."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        torch.optim.Muon(matrices, lr=MATRIX_RATE, weight_decay=0.01),
        torch.optim.AdamW(others, lr=OTHER_RATE, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write a model folder in the Hugging Face layout."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(str(folder))
    save_tokenizer(tokenizer, folder)
    # The engine takes its default temperature from here; the library's own writer refuses a temperature of zero.
    generation = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "do_sample": False}
    text = json.dumps({**generation, "temperature": 0.0}, indent=2) + "\n"
    (folder / "generation_config.json").write_text(text, encoding="utf-8")
    (folder / "model.safetensors").chmod(0o644)  # a server may run as another user


def load(folder: Path) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """Read what ``save`` wrote, to go on training it."""
    model = LlamaForCausalLM.from_pretrained(str(folder), dtype=torch.float32).train()
    model.generation_config = GenerationConfig()  # the library would refuse to write our temperature of zero
    return model, AutoTokenizer.from_pretrained(str(folder))


def train(tier: Tier, out: Path, minutes: float, seed: int, resume: bool) -> None:
    """Train one model for so many minutes of one core and leave it under out/chat-<tier>."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    folder = out / f"chat-{tier}"
    if resume:
        model, tokenizer = load(folder)
    else:
        tokenizer = shared_tokenizer(seed)
        model = new_model(tokenizer)
    steppers = optimizers(model)
    peaks = [stepper.param_groups[0]["lr"] * (RESUMED_RATE if resume else 1.0) for stepper in steppers]
    clock = Clock(minutes)
    stream = lessons(seed, tier, clock, 0.0 if resume else STEPS_FADE)
    saved = shown = clock.start
    print(f"{tier}: {model.num_parameters()} parameters", flush=True)
    running = 0.0
    for step, (tokens, targets) in enumerate(batches(stream, seed, tokenizer)):
        now, done = time.process_time(), clock.done
        if done >= 1:
            break
        # The schedule follows the clock, so a run always ends cooled down.
        rate = min(done / WARM_UP, 0.5 + 0.5 * math.cos(math.pi * done))
        for stepper, peak in zip(steppers, peaks, strict=True):
            stepper.param_groups[0]["lr"] = peak * rate
        loss = loss_of(model, tokens, targets)
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for stepper in steppers:
            stepper.step()
        running = loss.item() if step == 0 else 0.98 * running + 0.02 * loss.item()
        if now - shown > 15:
            print(f"{tier}: {(now - clock.start) / 60:.1f} min, step {step}, loss {running:.4f}", flush=True)
            shown = now
        if now - saved > CHECKPOINT_SECONDS:
            save(model, tokenizer, folder)
            saved = now
    save(model, tokenizer, folder)


def main() -> None:
    """Read the command line and train one model, or both at once on a core each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tier", choices=[*TIERS, "both"], default="both")
    parser.add_argument("--out", type=Path, default=Path("model-repository/llm"))
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--resume", action="store_true", help="go on from the weights under --out; take another seed")
    options = parser.parse_args()
    if options.tier != "both":
        train(options.tier, options.out, options.minutes, options.seed, options.resume)
        return
    command = [sys.executable, "-m", "predictors.llm.training.train", "--out", str(options.out)]
    command += [
        "--minutes",
        str(options.minutes),
        "--seed",
        str(options.seed),
        *(["--resume"] if options.resume else []),
    ]
    running = [subprocess.Popen([*command, "--tier", tier]) for tier in TIERS]  # noqa: S603 - our own command
    sys.exit(max(process.wait() for process in running))


if __name__ == "__main__":
    main()
