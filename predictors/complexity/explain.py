"""``python -m predictors.complexity.explain``: the classifier's rating of a prompt, or of every line of a file.

``switchyard route explain`` and ``switchyard route score`` run this.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import orjson

from predictors.complexity.classifier.files import ModelFileError
from predictors.complexity.classifier.scorers import SCORERS, LearnedScorer, Scorer, make_scorer
from predictors.complexity.classifier.tokens import Text
from predictors.complexity.tiers.conversation import MalformedBodyError, read
from predictors.complexity.tiers.share import ShareController


class LineError(ValueError):
    """A line of a file of prompts cannot be read; the message names it."""


def explained(scorer: Scorer, text: Text, share: float) -> str:
    """Format score, heads, the features that moved it, and the tier at a share of traffic like the training data."""
    score, threshold = scorer.score(text), ShareController(share, scorer.quantiles).threshold
    tier = "reasoning" if score > threshold else "fast"
    sign = ">" if score > threshold else "<="
    lines = [
        f"score      {score:+.3f}",
        f"tier       {tier} ({score:+.3f} {sign} {threshold:+.3f} at a share of {share:g})",
    ]
    if isinstance(scorer, LearnedScorer):
        judgment = scorer.model.judge(text)
        lines += [
            f"wrong      {judgment.wrong:+.3f} (fast model wrong)",
            f"gain       {judgment.gain:+.3f} (reasoning model better)",
        ]
    lines += ["moved by", *(f"  {moved:+.3f}  {name}" for name, moved in scorer.explain(text, 8))]
    return "\n".join(lines)


def text_of(line: bytes, where: str) -> Text:
    """Parse a line: a JSON string, ``{"prompt": text or list of turns}``, or a chat body with ``messages``.

    Raises:
        LineError: it is none of these.
    """
    try:
        value = orjson.loads(line)
        conversation = read(value if isinstance(value, dict) else {"prompt": value})
    except (orjson.JSONDecodeError, MalformedBodyError) as err:
        raise LineError(f'{where} is not a prompt: {err}; write {{"prompt": "…"}}') from err
    if not conversation.readable:
        raise LineError(f"{where} holds no text")
    return Text.of(*conversation.user)


def scores(scorer: Scorer, file: Path) -> list[float]:
    """Return the score of each non-empty line.

    Raises:
        LineError: a line is not a prompt.
        OSError: the file cannot be read.
    """
    lines = enumerate(file.read_bytes().splitlines(), 1)
    return [scorer.score(text_of(line, f"{file}, line {number}")) for number, line in lines if line.strip()]


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and print; an error is a sentence and exit code 1."""
    parser = argparse.ArgumentParser(prog="switchyard route", allow_abbrev=False)
    parser.add_argument("--model_dir", type=Path, default=Path("model-repository/complexity"))
    parser.add_argument("--scorer", choices=SCORERS, default="learned")
    parser.add_argument("--domain", default="")
    parser.add_argument("--share", type=float, default=0.35)
    parser.add_argument("what", choices=("explain", "score"))
    parser.add_argument("of", help="a prompt to explain, or a file with one JSON prompt per line to score")
    options = parser.parse_args(argv)
    try:
        scorer = make_scorer(options.scorer, options.model_dir, options.domain)
        if options.what == "explain":
            print(explained(scorer, Text.of(options.of), options.share))
        else:
            print("\n".join(f"{score:.4f}" for score in scores(scorer, Path(options.of))))
    except (ModelFileError, LineError, OSError) as err:
        sys.exit(f"error: {err}")


if __name__ == "__main__":
    main()
