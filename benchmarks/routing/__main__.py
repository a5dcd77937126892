"""``python -m benchmarks.routing [--labels DIR]``: what routing by difficulty keeps of quality, at which share.

Runs both demo models on held-out conversations, writes the curve for the docs, and measures what a decision costs. With
``--labels`` it also cross-validates the classifier on published label sets.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.processes import ROOT
from benchmarks.report import Figure, publish
from benchmarks.routing import labels as label_sets
from benchmarks.routing.cost import predictor_cost, score_cost
from benchmarks.routing.demo import Outcome, outcomes, traffic
from benchmarks.routing.picture import draw
from predictors.complexity.classifier.scorers import ScorerName, make_scorer
from predictors.complexity.classifier.tokens import Text
from predictors.complexity.tiers.share import ShareController
from predictors.complexity.training.curve import Curve, Values, bootstrap

FOLDER = ROOT / "model-repository" / "complexity"
PICTURE = ROOT / "docs" / "concepts" / "routing-curve.svg"
SEED = 29
SHARES = (0.3, 0.35, 0.4)
KEEPS = 0.95  # of always-reasoning's accuracy, the target at these shares
DRAWN = ("oracle", "classifier, demo labels", "classifier, prior alone", "length", "random")


def scores(examined: list[Outcome]) -> Mapping[str, Values]:
    """Each way to choose, as a score per conversation."""
    texts = [Text.of(*one.turns) for one in examined]
    learned: Mapping[str, tuple[ScorerName, str]] = {
        "length": ("length", ""),
        "heuristic": ("heuristic", ""),
        "classifier, prior alone": ("learned", ""),
        "classifier, demo labels": ("learned", "demo"),
    }
    found = {"random": np.zeros(len(texts))}  # one score for all: any mixture of both ends
    for name, (scorer, domain) in learned.items():
        made = make_scorer(scorer, FOLDER, domain)
        found[name] = np.array([made.score(text) for text in texts])
    found["oracle"] = np.array([float(one.reasoning) - float(one.fast) for one in examined])
    return found


def demo(samples: int) -> list[Figure]:
    """The table and the picture of the two demo models."""
    examined = list(outcomes(traffic(SEED, samples, examined=True)))
    fast, reasoning = (np.array([getattr(one, tier) for one in examined], float) for tier in ("fast", "reasoning"))
    table = Table("", *(f"at {share:.0%}" for share in SHARES), "APGR", "CPT50", "CPT80", title=f"{samples} held out")
    table.add_row("always fast", *[f"{fast.mean():.3f}"] * len(SHARES))
    table.add_row("always reasoning", *[f"{reasoning.mean():.3f}"] * len(SHARES))
    curves, figures = {}, []
    for name, score in scores(examined).items():
        curve = curves[name] = Curve.of(score, fast, reasoning)
        apgr, cpt50, cpt80 = (
            bootstrap(measure, score, fast, reasoning)
            for measure in (lambda one: one.apgr, lambda one: one.cpt(0.5), lambda one: one.cpt(0.8))
        )
        at = [f"{curve.at(share):.3f} ({curve.at(share) / reasoning.mean():.1%})" for share in SHARES]
        table.add_row(name, *at, apgr.shown(), cpt50.shown(".2f"), cpt80.shown(".2f"))
        figures.append(Figure(name=f"APGR, {name}", unit="", values=(apgr.low, apgr.value, apgr.high)))
    live = [held_live(score_of(examined), fast, reasoning, share) for share in SHARES]
    shown = [f"{right:.3f} ({right / reasoning.mean():.1%}), share {share:.1%}" for right, share in live]
    table.add_row("classifier, share held live", *shown)
    kept = bootstrap(lambda one: one.at(SHARES[0]) / one.quality[-1], score_of(examined), fast, reasoning)
    goal = f">= {KEEPS}"
    figures.append(
        Figure(
            name=f"accuracy of always reasoning kept at {SHARES[0]:.0%}",
            unit="",
            values=(kept.low, kept.value, kept.high),
            target=goal,
        )
    )
    Console(width=210).print(table)
    low = np.floor(20 * fast.mean()) / 20
    title = "Right answers of the two demo models against the share of conversations that go to chat-reasoning"
    draw({name: curves[name] for name in DRAWN}, PICTURE, title=title, low=float(low), high=1.0)
    return figures


def held_live(score: Values, fast: Values, reasoning: Values, share: float) -> tuple[float, float]:
    """Accuracy, and the share that came of it, when conversations come one by one and the controller sets the bar."""
    controller = ShareController(share, make_scorer("learned", FOLDER, "demo").quantiles)
    order = np.random.default_rng(SEED).permutation(len(score))
    sent = np.array([controller.decide(float(score[row])).reasoning for row in order])
    return float(np.where(sent, reasoning[order], fast[order]).mean()), float(sent.mean())


def score_of(examined: list[Outcome]) -> Values:
    """The shipped classifier's scores."""
    return scores(examined)["classifier, demo labels"]


def cost() -> list[Figure]:
    """What a decision costs, on conversations of the demo."""
    texts = [example.conversation for example in traffic(SEED, 1000, examined=True)]
    return [*score_cost(texts), *predictor_cost(max(texts[:100], key=len))]


def labels(folder: Path) -> None:
    """The table of published label sets."""
    table = Table("set", "prompts", "chosen by", "APGR", "CPT50", "CPT80", title="cross-validated on label sets")
    for row in label_sets.table(folder):
        cells = (row.labels, str(row.prompts), row.scorer, row.apgr, f"{row.cpt50:.0%}", f"{row.cpt80:.0%}")
        table.add_row(*cells)
    Console(width=150).print(table)


def main() -> None:
    """Reads the command line and prints the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.routing")
    parser.add_argument("--labels", type=Path, help="folder of published label sets")
    parser.add_argument("--samples", type=int, default=2000)
    options = parser.parse_args()
    publish("routing", [*demo(options.samples), *cost()], {"rounds": 1, "conversations": options.samples})
    if options.labels:
        labels(options.labels)


if __name__ == "__main__":
    main()
