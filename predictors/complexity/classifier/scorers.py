"""The scorers of texts behind one Protocol: the learned model, and the two baselines that it must beat."""

from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import NormalDist
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from predictors.complexity.classifier import features
from predictors.complexity.classifier.files import ModelFileError, load
from predictors.complexity.classifier.model import Model
from predictors.complexity.classifier.tokens import Text

ScorerName = Literal["learned", "heuristic", "length"]
SCORERS: tuple[ScorerName, ...] = get_args(ScorerName)
PRIOR = "prior"

Reasons = list[tuple[str, float]]


class Scorer(Protocol):
    """Rates how hard a text is: about 0 for an average one, 1 more per standard deviation.

    ``quantiles`` are those of the scores that it expects, evenly spaced from the minimum to the maximum.
    """

    quantiles: NDArray[np.float32]

    def score(self, text: Text) -> float:
        """Return the score."""

    def explain(self, text: Text, most: int) -> Reasons:
        """Return the features that moved the score most, and by how much."""


class LearnedScorer:
    """Scores with the model of a file, or of two: a prior and a domain's model."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.quantiles = model.quantiles

    def score(self, text: Text) -> float:
        return self.model.judge(text).score

    def explain(self, text: Text, most: int) -> Reasons:
        return self.model.reasons(self.model.judge(text), most)


class WeightedScorer:
    """A hand-weighted sum of surface features, each in standard deviations of an average mixture of prompts."""

    def __init__(self, weights: Mapping[str, tuple[float, float, float]]) -> None:
        self._names = tuple(weights)
        self._places = [features.NAMES.index(feature) for feature in weights]
        self._weights, self._means, self._deviations = np.array(list(weights.values())).T
        self.quantiles = _NORMAL

    @property
    def slopes(self) -> NDArray[np.float32]:
        """By how much the score rises with each feature of the surface."""
        slopes = np.zeros(len(features.NAMES), np.float32)
        slopes[self._places] = self._weights / self._deviations
        return slopes

    def score(self, text: Text) -> float:
        return float(self._parts(text).sum())

    def explain(self, text: Text, most: int) -> Reasons:
        parts = self._parts(text)
        return [(self._names[place], float(parts[place])) for place in np.argsort(-np.abs(parts))[:most]]

    def _parts(self, text: Text) -> NDArray[np.float64]:
        found = features.surface(text)[self._places]
        parts: NDArray[np.float64] = self._weights * (found - self._means) / self._deviations
        return parts


# Cut short of 0 and 1, where quantiles of the normal distribution are infinite.
_NORMAL = np.array(
    [NormalDist().inv_cdf(min(max(share, 0.005), 0.995)) for share in np.linspace(0, 1, 101)], np.float32
)
_LENGTH = {"characters": (1.0, 5.6, 0.9)}
# feature: weight, mean, deviation; mean and deviation are those of the published label sets, rounded
_HEURISTIC = {
    "characters": (0.3, 5.6, 0.9),
    "numbers": (0.3, 1.2, 0.9),
    "signs of arithmetic": (0.2, 0.8, 1.0),
    "changes": (0.2, 0.5, 0.6),
    "totals": (0.1, 0.3, 0.5),
    "reasons": (0.2, 0.4, 0.6),
    "code": (0.2, 0.3, 0.6),
    "orders": (0.2, 0.1, 0.3),
    "asks for a fact": (-0.2, 0.4, 0.5),
}


def heuristic() -> WeightedScorer:
    """Create the baseline that was weighted by hand."""
    return WeightedScorer(_HEURISTIC)


_BASELINES: Mapping[str, Callable[[], Scorer]] = {"length": lambda: WeightedScorer(_LENGTH), "heuristic": heuristic}


def make_scorer(name: ScorerName, folder: Path, domain: str = "") -> Scorer:
    """Create a scorer; the learned one reads ``prior.safetensors`` and, for a domain, ``<domain>.safetensors``.

    Raises:
        ModelFileError: a file is missing or broken.
    """
    if name != "learned":
        return _BASELINES[name]()
    prior = load(folder / f"{PRIOR}.safetensors")
    if not domain:
        return LearnedScorer(prior)
    return LearnedScorer(load(folder / f"{domain}.safetensors", prior))


def make_scorer_or_length(name: ScorerName, folder: Path, domain: str = "") -> tuple[Scorer, str]:
    """Do the same, but fall back to the length of the text when a file cannot be used, and return the reason."""
    try:
        return make_scorer(name, folder, domain), ""
    except ModelFileError as err:
        # A missing file must not stop traffic: length is the guess that needs none.
        return make_scorer("length", folder), str(err)
