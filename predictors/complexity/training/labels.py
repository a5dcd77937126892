"""Labels: texts with the outcomes of the two tiers, from published sets and from an installation's own records."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from pyarrow import parquet

from predictors.complexity.classifier.tokens import Text

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]

_FORM = '{"prompt": text or list of turns, "fast": 0..1, "reasoning": 0..1}'


class LabelError(ValueError):
    """Labels cannot be used; the message names the file, the line and what is wrong."""


@dataclass(frozen=True, slots=True)
class Labels:
    """``wrong``: how wrong the fast tier is on each text (0..1); ``gain``: how much more often the other tier is right.

    ``reliable`` marks the rows whose ``gain`` can be learned from. ``word_problems`` marks a set of these without
    outcomes, whose ``wrong`` and ``gain`` only order the texts.
    """

    name: str
    texts: tuple[Text, ...]
    wrong: Values
    gain: Values
    reliable: Mask
    word_problems: bool = False

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: NDArray[np.intp]) -> "Labels":
        """Return some of the rows."""
        texts = tuple(self.texts[row] for row in rows)
        return Labels(self.name, texts, self.wrong[rows], self.gain[rows], self.reliable[rows], self.word_problems)


def local(path: Path) -> Labels:
    """Read own labels: JSON lines with a prompt (or the user's turns) and how right each tier was on it.

    Raises:
        LabelError: a line is something else, or there is none.
    """
    texts, scores = [], []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            row = orjson.loads(line)
            turns = [row["prompt"]] if isinstance(row["prompt"], str) else row["prompt"]
            texts.append(Text.of(*turns))
            scores.append((float(row["fast"]), float(row["reasoning"])))
        except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, ValueError) as err:
            raise LabelError(f"{path}, line {number} is not {_FORM}: {err!r}") from err
    if not texts:
        raise LabelError(f"{path} is empty; it needs lines of {_FORM}")
    fast, reasoning = np.array(scores, float).T
    return Labels(path.stem, tuple(texts), 1 - fast, reasoning - fast, np.ones(len(texts), bool))


def published(folder: Path) -> list[Labels]:
    """Read the known label sets in ``folder``, each a parquet file.

    Raises:
        LabelError: there is none, or one lacks the outcomes of a model.
    """
    found = [
        read(folder / f"{name}.parquet") for name, read in _READERS.items() if (folder / f"{name}.parquet").exists()
    ]
    if not found:
        raise LabelError(f"{folder} holds none of {', '.join(f'{name}.parquet' for name in _READERS)}")
    return found


def _columns(path: Path) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = parquet.read_table(path).to_pydict()
    return columns


def _mmlu(path: Path) -> Labels:
    rows = _columns(path)
    weak, strong = np.array(rows["weak"], float), np.array(rows["strong"], float)
    # The strong model was scored on one generated token, which says nothing about questions that need a calculation.
    calculated = np.array(rows["numopt"], bool) | (np.array(rows["subject"]) == "high_school_mathematics")
    return Labels("mmlu", tuple(map(Text.of, rows["prompt"])), 1 - weak, strong - weak, ~calculated)


@dataclass(frozen=True, slots=True)
class _Pair:
    """The models that stand for the two tiers: ``fast`` is right as often as the mean of its models.

    ``reasoning`` is right where the best of its models is, or, unless ``best``, as often as their mean. They are named,
    not ranked: a set's weakest models often fail by the form of their answers, not by difficulty.
    """

    fast: tuple[str, ...]
    reasoning: tuple[str, ...]
    best: bool = False

    def reader(self, name: str, prefix: str) -> Callable[[Path], Labels]:
        """Build a reader of a file with one column of outcomes per model, named by ``prefix`` and the model."""

        def read(path: Path) -> Labels:
            rows = _columns(path)
            if missing := [prefix + model for model in (*self.fast, *self.reasoning) if prefix + model not in rows]:
                raise LabelError(f"{path} has no column {', '.join(missing)}")
            weak, strong = (
                np.array([rows[prefix + model] for model in models], float) for models in (self.fast, self.reasoning)
            )
            fast = np.nanmean(weak, axis=0)
            reasoning = np.nanmax(strong, axis=0) if self.best else np.nanmean(strong, axis=0)
            texts = tuple(map(Text.of, rows["prompt"]))
            return Labels(name, texts, 1 - fast, reasoning - fast, np.ones(len(texts), bool))

        return read


MMLU_PRO = _Pair(
    (
        "Mixtral-8x7B-Instruct-v0.1",
        "Meta-Llama-3_1-8B-Instruct",
        "Phi-3-mini-4k-instruct",
        "gemma-7b",
        "c4ai-command-r-v01",
    ),
    ("Meta-Llama-3_1-70B-Instruct", "gemini-1.5-pro-002", "gemini-1.5-flash-002"),
)
ULAB = _Pair(
    ("mistral-7b-instruct-v0.3", "llama-3.1-8b-instruct", "gemma-2-9b-it"),
    ("llama-3.1-nemotron-51b-instruct", "llama-3.3-nemotron-super-49b-v1"),
    best=True,  # each of the two fails the form of some tasks
)
CRUX = _Pair(
    ("Meta-Llama-3.1-8B-Instruct", "Qwen2-7B-Instruct", "gpt-4o-mini-2024-07-18"),
    ("o1-mini-2024-09-12",),
)


def _steps(path: Path) -> Labels:
    """No outcomes, but an order: each step of a solution makes a weak model a tenth more likely to be wrong."""
    rows = _columns(path)
    wrong = np.clip(np.array(rows["steps"], float) / 10, 0, 1)
    everywhere = np.ones(len(wrong), bool)
    return Labels("gsm8k", tuple(map(Text.of, rows["prompt"])), wrong, 0.9 * wrong, everywhere, word_problems=True)


_READERS: Mapping[str, Callable[[Path], Labels]] = {
    "routellm_mmlu_train": _mmlu,
    "mmlupro_train": MMLU_PRO.reader("mmlu-pro", "ok|"),
    "llmrouter_ulab_train": ULAB.reader("ulab", "s|"),
    "zeroeval_crux_train": CRUX.reader("crux", "ok|"),
    "gsm8k_train_steps": _steps,
}
