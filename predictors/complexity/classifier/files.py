"""A model as one safetensors file: tensors, and names as text; reading it executes nothing.

Format: https://github.com/huggingface/safetensors (README, "Format"); all values are little-endian numbers.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from predictors.complexity.classifier import features
from predictors.complexity.classifier.forest import Forest
from predictors.complexity.classifier.model import QUESTIONS, Heads, Line, Model, QuestionModel, Safeguard
from predictors.complexity.classifier.vocabulary import Vocabulary

_KEY, _FORM = "switchyard", "complexity-2"
_NUMBERS = ("constant", "mean", "deviation")
_LINES = ("heuristic", "word_problem", "length")

Tensors = Mapping[str, NDArray[np.generic]]


class ModelFileError(Exception):
    """A model file cannot be used; the message names it and says why."""


def save(model: Model, path: Path, note: str, held_out: Mapping[str, Mapping[str, float]] | None = None) -> None:
    """Write a model without its prior.

    ``note`` says on which labels it was trained; ``held_out`` keeps what each way to rank reached on sets not seen.
    """
    heads = model.heads
    tensors: dict[str, NDArray[np.generic]] = {
        "terms": _text(heads.vocabulary.terms),
        "idf": heads.vocabulary.idf,
        "heads": heads.weights.astype(np.float16),  # most of the file; its three digits are more than the labels give
        "constants": heads.constants,
        "quantiles": model.quantiles,
        "weights": np.array([*model.weights, model.trust], np.float64),
    }
    if model.safeguard is not None:
        tensors["longest"] = np.array([model.safeguard.longest], np.float64)
        for name in _LINES:
            line: Line = getattr(model.safeguard, name)
            tensors[name] = np.append(line.weights, line.constant).astype(np.float32)
    for question, question_model in zip(QUESTIONS, model.question_models, strict=True):
        tensors |= {f"{question}.{name}": part for name, part in _parts(question_model).items()}
    described = {
        "form": _FORM,
        "note": note,
        "held_out": held_out or {},
        "features": features.NAMES,
        "heads": heads.names,
        "stands_on_prior": model.prior is not None,
    }
    metadata = {_KEY: orjson.dumps(described).decode()}  # one entry: the format does not keep their order
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, path, metadata)
    path.chmod(0o644)  # a server may run as another user


def load(path: Path, prior: Model | None = None) -> Model:
    """Read what ``save`` wrote; ``prior`` is the prior of a domain's model.

    Raises:
        ModelFileError: it is missing, broken, of another format, or needs a prior (or none).
    """
    try:
        with safe_open(path, "numpy") as file:
            described = orjson.loads((file.metadata() or {}).get(_KEY, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError, orjson.JSONDecodeError) as err:
        raise ModelFileError(f"{path} cannot be read as safetensors: {err}") from err
    if described.get("form") != _FORM or described.get("features") != list(features.NAMES):
        raise ModelFileError(f"{path} is of another version of this project: train it again")
    stands = described.get("stands_on_prior")
    if stands != (prior is not None):
        raise ModelFileError(
            f"{path} is the model of a domain and needs a prior" if stands else f"{path} is a prior, not a domain's"
        )
    try:
        return _model(tuple(described["heads"]), tensors, prior)
    except (KeyError, ValueError, IndexError) as err:
        raise ModelFileError(f"{path} is broken: {err}; train it again") from err


def _model(names: tuple[str, ...], tensors: Mapping[str, NDArray[np.float32]], prior: Model | None) -> Model:
    vocabulary = Vocabulary(list(filter(None, tensors["terms"].tobytes().decode().split("\n"))), tensors["idf"])
    heads = Heads(names, vocabulary, tensors["heads"].astype(np.float32), tensors["constants"])
    if heads.weights.shape != (len(vocabulary), len(names)) or vocabulary.idf.shape != (len(vocabulary),):
        raise ValueError(f"weights of shape {heads.weights.shape} for {len(vocabulary)} terms and {len(names)} heads")
    wrong, gain = (_question_model(tensors, question) for question in QUESTIONS)
    *weights, trust = (float(number) for number in tensors["weights"])
    safeguard = _safeguard(tensors) if prior is None else None
    model = Model(heads, (wrong, gain), (weights[0], weights[1]), tensors["quantiles"], trust, prior, safeguard)
    for question_model in model.question_models:
        if question_model.line.shape != (len(model.column_names),) or question_model.forest.feature.max() >= len(
            question_model.line
        ):
            raise ValueError(f"{len(question_model.line)} weights for {len(model.column_names)} columns")
    return model


def _safeguard(tensors: Mapping[str, NDArray[np.float32]]) -> Safeguard:
    heuristic, word_problem, length = (Line(tensors[name][:-1], float(tensors[name][-1])) for name in _LINES)
    for line in (heuristic, word_problem, length):
        if line.weights.shape != (len(features.NAMES),):
            raise ValueError(f"{len(line.weights)} weights for {len(features.NAMES)} surface features")
    return Safeguard(heuristic, word_problem, length, float(tensors["longest"][0]))


def _parts(question_model: QuestionModel) -> dict[str, NDArray[np.generic]]:
    return {
        "line": question_model.line,
        "centre": question_model.center,
        "feature": question_model.forest.feature,
        "threshold": question_model.forest.threshold,
        "leaf": question_model.forest.leaf,
        "numbers": np.array(
            [*(getattr(question_model, name) for name in _NUMBERS), question_model.forest.base], np.float64
        ),
    }


def _question_model(tensors: Mapping[str, NDArray[np.float32]], question: str) -> QuestionModel:
    part = {
        name: tensors[f"{question}.{name}"] for name in ("line", "centre", "feature", "threshold", "leaf", "numbers")
    }
    constant, mean, deviation, base = (float(number) for number in part["numbers"])
    forest = Forest(part["feature"].astype(np.int32), part["threshold"], part["leaf"], base)
    trees, inner = forest.feature.shape
    if forest.threshold.shape != (trees, inner) or forest.leaf.shape != (trees, inner + 1):
        raise ValueError(f"the trees of {question!r} are of different shapes")
    return QuestionModel(part["line"], part["centre"], constant, forest, mean, deviation)


def _text(lines: tuple[str, ...]) -> NDArray[np.uint8]:
    return np.frombuffer("\n".join(lines).encode(), np.uint8)
