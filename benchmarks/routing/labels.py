"""The classifier against published labels, cross-validated within each set; the command is ``benchmarks.routing``.

Five folds; each set's prior has seen none of that set. What is fitted on ``n`` labels of the set is judged on the fold
that it has not seen; the folds' scores are compared by rank, since each fold has a model of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold

from predictors.complexity.classifier.model import Model
from predictors.complexity.classifier.scorers import make_scorer
from predictors.complexity.training.curve import Curve, Values, bootstrap
from predictors.complexity.training.fitting import Rows, fit_domain
from predictors.complexity.training.labels import published
from predictors.complexity.training.overlap import distinct
from predictors.complexity.training.safeguard import fit_prior

FOLDS = 5
LABELS = (100, 300)  # and all of the other four folds
DRAWS = 3
SEED = 7


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    labels: str
    prompts: int
    scorer: str
    apgr: str
    cpt50: float
    cpt80: float


def table(folder: Path) -> Iterator[Row]:
    """Baselines, a prior that knows nothing of the set, and the set's own model, for each set with outcomes."""
    sets = [Rows.of(one) for one in distinct(published(folder))]
    for rows in sets:
        if not rows.labels.word_problems:  # which have no outcomes
            prior, _ = fit_prior([other for other in sets if other is not rows], SEED)
            yield from _of_set(rows, prior)


def _of_set(rows: Rows, prior: Model) -> Iterator[Row]:
    """All rows of one set, judged on all of its labels and, where some are known to be wrong, on the others too."""
    reliable = rows.labels.reliable
    # What is reported as published must be learned as published.
    rows = Rows(replace(rows.labels, reliable=np.ones(len(rows), bool)), rows.surface, rows.documents)
    drawn = list(_ways(rows, prior))
    for scorer, scores in drawn:
        yield _row(rows.labels.name, scorer, rows, scores, np.arange(len(rows)))
    if not reliable.all():
        for scorer, scores in drawn:
            yield _row(f"{rows.labels.name}, judged on reliable labels", scorer, rows, scores, np.flatnonzero(reliable))


def _ways(rows: Rows, prior: Model) -> Iterator[tuple[str, list[Values]]]:
    for baseline in ("length", "heuristic"):
        scorer = make_scorer(baseline, Path())
        yield baseline, [np.array([scorer.score(text) for text in rows.labels.texts])]
    yield "classifier, other sets only", [_scores(prior, rows)]
    most = len(rows) - -(-len(rows) // FOLDS)
    for count in [*(count for count in LABELS if count < most), most]:
        drawn = [_cross_validated(rows, prior, count, seed) for seed in range(DRAWS)]
        yield f"classifier, {count} labels of the set", drawn


def _cross_validated(rows: Rows, prior: Model, count: int, seed: int) -> Values:
    ranks = np.zeros(len(rows))
    for seen, left in KFold(FOLDS, shuffle=True, random_state=seed).split(rows.surface):
        drawn = np.random.default_rng(seed).permutation(seen)[:count]
        ranks[left] = _ranks(_scores(fit_domain(rows.take(drawn), prior, seed), rows.take(left)))
    return ranks


def _row(name: str, scorer: str, rows: Rows, drawn: list[Values], judged: NDArray[np.intp]) -> Row:
    fast = (1 - rows.labels.wrong)[judged]
    reasoning = fast + rows.labels.gain[judged]
    curves = [Curve.of(score[judged], fast, reasoning) for score in drawn]
    interval = bootstrap(lambda curve: curve.apgr, drawn[0][judged], fast, reasoning)
    half = (interval.high - interval.low) / 2
    apgr = float(np.mean([curve.apgr for curve in curves]))
    cpt50, cpt80 = (float(np.mean([curve.cpt(part) for curve in curves])) for part in (0.5, 0.8))
    return Row(name, len(judged), scorer, f"{apgr:.3f} ± {half:.3f}", cpt50, cpt80)


def _scores(model: Model, rows: Rows) -> Values:
    read = zip(rows.surface, rows.documents, strict=True)
    return np.array([model.judge_read(surface, document).score for surface, document in read])


def _ranks(scores: Values) -> NDArray[np.float64]:
    return (np.argsort(np.argsort(scores)) + 0.5) / len(scores)
