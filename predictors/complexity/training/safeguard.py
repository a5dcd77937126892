"""Fits the prior, and measures on sets that it has not seen how far it can be trusted there.

Each set in turn is held out. Where the heuristic ranks those sets better than the learned model, it takes part in each
score; where length ranks word problems better, length alone rates them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.linear_model import LogisticRegression

from predictors.complexity.classifier import features
from predictors.complexity.classifier.model import CHARACTERS, Line, Model, Safeguard
from predictors.complexity.classifier.scorers import heuristic
from predictors.complexity.training.curve import Curve, Values
from predictors.complexity.training.fitting import Matrix, Rows, fit_sets, judged, with_quantiles

SHARES = tuple(np.linspace(0, 1, 21))  # of a score that the heuristic gets; at 1 nothing learned is left
NEVER = Line(np.zeros(len(features.NAMES), np.float32), -1.0)

HeldOut = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class _Trial:
    """A model and the set that it has not seen, with the APGR there at each of ``SHARES``."""

    model: Model
    seen: Sequence[Rows]
    held: Rows
    at_shares: tuple[float, ...]

    @staticmethod
    def of(held: Rows, seen: Sequence[Rows], seed: int) -> "_Trial":
        """Fit a model on the sets ``seen``."""
        model, line = fit_sets(seen, seed), _standard_heuristic(seen)
        learned, by_hand = _scores(model, held), held.surface @ line.weights
        apgr = tuple(_apgr(held, (1 - share) * learned + share * by_hand) for share in SHARES)
        return _Trial(model, seen, held, apgr)

    @property
    def length(self) -> float:
        """The APGR of the length alone."""
        return _apgr(self.held, self.held.surface[:, CHARACTERS])


def fit_prior(sets: Sequence[Rows], seed: int) -> tuple[Model, HeldOut]:
    """Fit a prior with its safeguard; return it with the APGR on each set when that is held out."""
    trials = [_Trial.of(rows, [other for other in sets if other is not rows], seed) for rows in sets]
    means = np.mean([one.at_shares for one in trials if not one.held.labels.word_problems], axis=0)
    place = int(np.argmax(means >= means[-1]))  # the least share with which the mean is not below the heuristic's
    harmed = any(one.at_shares[place] < one.length for one in trials if one.held.labels.word_problems)
    correction = (SHARES[place], *(_word_problem(sets) if harmed else (NEVER, 0.0)))
    held_out = {}
    for one in trials:
        prior = _guarded(one.model, one.seen, *correction)
        held_out[one.held.labels.name] = {
            "prior": round(_apgr(one.held, _scores(prior, one.held)), 3),
            "learned alone": round(one.at_shares[0], 3),
            "heuristic": round(one.at_shares[-1], 3),
            "length": round(one.length, 3),
        }
    return _guarded(fit_sets(sets, seed), sets, *correction), held_out


def _guarded(model: Model, sets: Sequence[Rows], share: float, word_problem: Line, longest: float) -> Model:
    """Give the heuristic its share of the scores, with a deviation of 1 on ``sets``, and word problems their length."""
    line, surface = _standard_heuristic(sets), np.vstack([rows.surface for rows in sets])
    learned = np.concatenate([_scores(model, rows) for rows in sets])
    scores = (1 - share) * learned + share * (surface @ line.weights + line.constant)
    scale = float(scores.std())
    own, by_hand = (1 - share) / scale, share / scale
    like = surface @ word_problem.weights + word_problem.constant > 0
    if like.sum() < 2:
        like[:] = True
    problems, lengths = (scores / scale)[like], surface[like, CHARACTERS]
    slope = float(problems.std() / max(lengths.std(), 1e-6))
    length = np.zeros(len(features.NAMES), np.float32)
    length[CHARACTERS] = slope
    safeguard = Safeguard(
        Line((by_hand * line.weights).astype(np.float32), by_hand * line.constant),
        word_problem,
        Line(length, float(problems.mean() - slope * lengths.mean())),
        longest,
    )
    weights = (own * model.weights[0], own * model.weights[1])
    return with_quantiles(replace(model, weights=weights, safeguard=safeguard), sets)


def _standard_heuristic(sets: Sequence[Rows]) -> Line:
    """Return the heuristic with a mean of 0 and a deviation of 1 on the rows of ``sets``."""
    weights = heuristic().slopes
    rated = np.concatenate([rows.surface @ weights for rows in sets])
    return Line(weights / rated.std(), -float(rated.mean() / rated.std()))


def _word_problem(sets: Sequence[Rows]) -> tuple[Line, float]:
    """Tell word problems from the other sets by a logistic regression on the surface; also return the longest one."""
    surface = np.vstack([rows.surface for rows in sets])
    problem = np.repeat([rows.labels.word_problems for rows in sets], [len(rows) for rows in sets])
    mean, deviation = surface.mean(axis=0), np.maximum(surface.std(axis=0), 1e-6)
    fitted = LogisticRegression(max_iter=1000).fit((surface - mean) / deviation, problem)
    weights = fitted.coef_[0] / deviation
    line = Line(weights.astype(np.float32), float(fitted.intercept_[0] - weights @ mean))
    return line, float(surface[problem, CHARACTERS].max())


def _scores(model: Model, rows: Rows) -> Values:
    return np.array([one.score for one in judged(model, rows)])


def _apgr(rows: Rows, scores: Values | Matrix) -> float:
    """Measure a ranking on the rows whose labels can be relied on."""
    labels, usable = rows.labels, rows.labels.reliable
    fast = 1 - labels.wrong[usable]
    return Curve.of(np.asarray(scores, float)[usable], fast, fast + labels.gain[usable]).apgr
