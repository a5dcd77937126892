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

    ``reliable`` marks the rows whose ``gain`` can be learned from.
    """

    name: str
    texts: tuple[Text, ...]
    wrong: Values
    gain: Values
    reliable: Mask

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: NDArray[np.intp]) -> "Labels":
        """Return some of the rows."""
        texts = tuple(self.texts[row] for row in rows)
        return Labels(self.name, texts, self.wrong[rows], self.gain[rows], self.reliable[rows])


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
        LabelError: there is none.
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


def _by_rank(name: str, prefix: str) -> Callable[[Path], Labels]:
    """Build a reader of outcomes of many models: the weaker third is the fast tier, the stronger third the other."""

    def read(path: Path) -> Labels:
        rows = _columns(path)
        outcomes = np.array([values for column, values in rows.items() if column.startswith(prefix)], float)
        ranked = outcomes[np.argsort(np.nanmean(outcomes, axis=1), kind="stable")]
        third = len(ranked) // 3
        weak, strong = np.nanmean(ranked[:third], axis=0), np.nanmean(ranked[-third:], axis=0)
        return Labels(name, tuple(map(Text.of, rows["prompt"])), 1 - weak, strong - weak, np.ones(len(weak), bool))

    return read


def _steps(path: Path) -> Labels:
    """No outcomes, but an order: each step of a solution makes a weak model a tenth more likely to be wrong."""
    rows = _columns(path)
    wrong = np.clip(np.array(rows["steps"], float) / 10, 0, 1)
    return Labels("gsm8k", tuple(map(Text.of, rows["prompt"])), wrong, 0.9 * wrong, np.ones(len(wrong), bool))


_READERS: Mapping[str, Callable[[Path], Labels]] = {
    "routellm_mmlu_train": _mmlu,
    "mmlupro_train": _by_rank("mmlu-pro", "ok|"),
    "llmrouter_ulab_train": _by_rank("ulab", "s|"),
    "zeroeval_crux_train": _by_rank("crux", "ok|"),
    "gsm8k_train_steps": _steps,
}
