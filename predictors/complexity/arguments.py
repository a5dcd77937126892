"""The command line of ``python -m predictors.complexity``: KServe's flags, the two tiers and how to choose."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from predictors.complexity.classifier.scorers import SCORERS, ScorerName


@dataclass(frozen=True, kw_only=True, slots=True)
class Arguments:
    """``fast`` and ``reasoning`` are names of models, ``share`` (0..1) is the part of the requests for the second.

    ``auto`` are the names with which clients leave the choice to this predictor. ``fast_window`` is in tokens.
    """

    model_name: str
    model_dir: Path
    http_port: int
    fast: str
    reasoning: str
    share: float
    auto: tuple[str, ...]
    fast_window: int
    characters_per_token: float
    scorer: ScorerName
    domain: str


def parse(argv: Sequence[str]) -> Arguments:
    """Parse the command line; exit with a usage message when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m predictors.complexity",
        description="Reads an OpenAI request, decides which of two models should respond, and returns it so addressed.",
        allow_abbrev=False,
    )
    parser.add_argument("--model_name", required=True, help="the InferenceService's name")
    parser.add_argument("--model_dir", type=Path, default=Path("/mnt/models"), help="holds prior.safetensors")
    parser.add_argument("--http_port", type=int, default=8080)
    parser.add_argument("--fast", required=True, help="the model for easy requests")
    parser.add_argument("--reasoning", required=True, help="the model for hard and for undecided requests")
    parser.add_argument("--share", type=_share, default=0.35, help="part of the requests that the second gets, 0 to 1")
    parser.add_argument("--auto", type=_names, default=("auto",), help="names that mean either, separated by commas")
    parser.add_argument("--fast_window", type=_positive, default=2048, help="the fast model's context, in tokens")
    parser.add_argument("--characters_per_token", type=float, default=3.0, help="of the fast model's tokenizer, about")
    parser.add_argument("--scorer", choices=SCORERS, default="learned")
    parser.add_argument(
        "--domain", default="", help="reads <domain>.safetensors beside the prior, fitted to own labels"
    )
    return Arguments(**vars(parser.parse_args(list(argv))))


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share: use a number from 0 to 1, such as 0.35")
    return share


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))
