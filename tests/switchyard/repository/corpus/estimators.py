"""Estimators of scikit-learn, XGBoost and LightGBM, exported to ONNX as docs/how-to/add-a-vision-model.md does it.

The digits are also broken in the ways that people break them.
"""

import contextlib
import io
import logging
import pickle
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from switchyard.repository.verdict import FaultCode as C
from tests.switchyard.repository.corpus.case import Build, Case, no_vision, vision
from tests.switchyard.repository.corpus.graphs import put

_OPSET = 17
_DIGITS_CONFIG = """backend: "onnxruntime"
input { name: "X" data_type: TYPE_FP32 dims: [-1, 64] }
output { name: "label" data_type: TYPE_INT64 dims: [-1] }
output { name: "probabilities" data_type: TYPE_FP32 dims: [-1, 10] }
"""


@cache
def _flowers() -> tuple[Any, Any]:
    from sklearn.datasets import load_iris

    features, classes = load_iris(return_X_y=True)
    return features.astype(np.float32), classes


@cache
def digits() -> Any:
    """A classifier of scikit-learn's digits: 8 x 8 pixels from 0 to 16."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pixels, classes = load_digits(return_X_y=True)
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)).fit(pixels.astype(np.float32), classes)


def to_onnx(estimator: Any, width: int, *, zipmap: bool = False) -> bytes:
    """Export an estimator of scikit-learn; probabilities are a tensor unless ``zipmap``."""
    from skl2onnx import to_onnx as convert

    classifies = hasattr(estimator, "predict_proba") or hasattr(estimator, "decision_function")
    options = {id(estimator): {"zipmap": zipmap}} if classifies and hasattr(estimator, "classes_") else None
    with _quiet():
        made = convert(estimator, np.zeros((1, width), np.float32), options=options, target_opset=_OPSET)
    data: bytes = made.SerializeToString()
    return data


@contextlib.contextmanager
def _quiet() -> Any:
    """Converters warn about versions, print, and log."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def _of_flowers(make: Callable[[], Any]) -> Build:
    def build(folder: Path) -> None:
        with _quiet():
            estimator = make().fit(*_flowers())
        put(folder, "1/model.onnx", to_onnx(estimator, 4))

    return build


def _sklearn(module: str, name: str, **arguments: Any) -> Build:
    def make() -> Any:
        return getattr(__import__(f"sklearn.{module}", fromlist=[name]), name)(**arguments)

    return _of_flowers(make)


def _boosted(library: str, name: str, **arguments: Any) -> Build:
    def build(folder: Path) -> None:
        import onnxmltools
        from onnxmltools.convert.common.data_types import FloatTensorType

        with _quiet():
            estimator = getattr(__import__(library), name)(n_estimators=5, **arguments).fit(*_flowers())
            convert = getattr(onnxmltools, f"convert_{library}")
            extra = {"zipmap": False} if name == "LGBMClassifier" else {}
            made = convert(estimator, initial_types=[("input", FloatTensorType([None, 4]))], target_opset=15, **extra)
        put(folder, "1/model.onnx", made.SerializeToString())

    return build


@cache
def _digits_graph(*, zipmap: bool = False) -> bytes:
    return to_onnx(digits(), 64, zipmap=zipmap)


def _digits(folder: Path) -> None:
    put(folder, "1/model.onnx", _digits_graph())


def _digits_at(path: str) -> Build:
    return lambda folder: put(folder, path, _digits_graph())


def _digits_as(content: Callable[[], bytes]) -> Build:
    return lambda folder: put(folder, "1/model.onnx", content())


def _digits_config(change: tuple[str, str]) -> Build:
    """The sample with a config.pbtxt in which ``change`` takes the place of what is true."""

    def build(folder: Path) -> None:
        _digits(folder)
        assert change[0] in _DIGITS_CONFIG
        put(folder, "config.pbtxt", _DIGITS_CONFIG.replace(*change))

    return build


def _digits_with_joblib(folder: Path) -> None:
    import joblib  # type: ignore[import-untyped]

    _digits(folder)
    joblib.dump(digits(), folder / "1/model.joblib")


def _digits_of_nine_labels(folder: Path) -> None:
    _digits_config(('name: "probabilities"', 'name: "probabilities" label_filename: "labels.txt"'))(folder)
    put(folder, "labels.txt", "\n".join("012345678"))


def _digits_of_the_future(folder: Path) -> None:
    import onnx

    made = onnx.load_from_string(_digits_graph())
    next(each for each in made.opset_import if each.domain == "").version = 99
    put(folder, "1/model.onnx", made.SerializeToString())


def _texts(folder: Path) -> None:
    from skl2onnx import to_onnx as convert
    from skl2onnx.common.data_types import StringTensorType
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts = ["good and bright", "good and kind", "bad and dark", "bad and cold"]
    with _quiet():
        estimator = make_pipeline(TfidfVectorizer(lowercase=False), LogisticRegression()).fit(texts, [1, 1, 0, 0])
        options = {id(estimator): {"zipmap": False}}
        types = [("text", StringTensorType([None, 1]))]
        made = convert(estimator, initial_types=types, options=options, target_opset=_OPSET)
    put(folder, "1/model.onnx", made.SerializeToString())


def _columns(folder: Path) -> None:
    """Numbers, words and whole numbers; the encoder's default ends a run for a category that it does not know."""
    from skl2onnx import to_onnx as convert
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    rows = np.array([[20, "Rome", 7], [30, "Vienna", 9], [40, "Rome", 9], [50, "Vienna", 7]], dtype=object)
    split = ColumnTransformer([("numbers", StandardScaler(), [0]), ("words", OneHotEncoder(), [1, 2])])
    with _quiet():
        estimator = make_pipeline(split, LogisticRegression()).fit(rows, [1, 0, 1, 0])
        types = [("age", FloatTensorType([None, 1])), ("city", StringTensorType([None, 1]))]
        types += [("zone", Int64TensorType([None, 1]))]
        options = {id(estimator): {"zipmap": False}}
        made = convert(estimator, initial_types=types, options=options, target_opset=_OPSET)
    put(folder, "1/model.onnx", made.SerializeToString())


CASES: tuple[Case, ...] = (
    vision("sklearn-columns", _columns),
    vision("sklearn-digits", _digits),
    vision("sklearn-texts", _texts),
    vision("sklearn-forest", _sklearn("ensemble", "RandomForestClassifier", n_estimators=5, random_state=1)),
    vision("sklearn-boosting", _sklearn("ensemble", "GradientBoostingClassifier", n_estimators=3, random_state=1)),
    vision("sklearn-tree", _sklearn("tree", "DecisionTreeRegressor", max_depth=3)),
    vision("sklearn-neighbors", _sklearn("neighbors", "KNeighborsClassifier", n_neighbors=3)),
    vision("sklearn-bayes", _sklearn("naive_bayes", "GaussianNB")),
    vision("sklearn-svm", _sklearn("svm", "SVC", probability=False)),
    vision("sklearn-perceptron", _sklearn("neural_network", "MLPClassifier", hidden_layer_sizes=(8,), max_iter=20)),
    vision("sklearn-ridge", _sklearn("linear_model", "Ridge")),
    vision("sklearn-clusters", _sklearn("cluster", "KMeans", n_clusters=3, n_init=1, random_state=1)),
    vision("sklearn-components", _sklearn("decomposition", "PCA", n_components=2)),
    vision("xgboost-classifier", _boosted("xgboost", "XGBClassifier")),
    vision("xgboost-regressor", _boosted("xgboost", "XGBRegressor")),
    vision("lightgbm-classifier", _boosted("lightgbm", "LGBMClassifier", verbose=-1)),
    vision("lightgbm-regressor", _boosted("lightgbm", "LGBMRegressor", verbose=-1)),
    vision("digits-config", _digits_config(("", ""))),
    vision("digits-zipmap", _digits_as(lambda: _digits_graph(zipmap=True)), notes="'output_probability' is left out"),
    no_vision(
        "digits-cut-off", _digits_as(lambda: _digits_graph()[:4000]), C.INCOMPLETE, "1/model.onnx", "4000", "copy it"
    ),
    no_vision(
        "digits-pickle",
        _digits_as(lambda: pickle.dumps(digits())),
        C.PICKLE,
        "1/model.onnx",
        "export the model to ONNX",
    ),
    no_vision("digits-joblib-beside", _digits_with_joblib, C.PICKLE, "1/model.joblib", "remove it"),
    no_vision("digits-of-the-future", _digits_of_the_future, C.GRAPH, "1/model.onnx", "opset 99", "export it with"),
    no_vision(
        "digits-of-63-pixels",
        _digits_config(("[-1, 64]", "[-1, 63]")),
        C.GRAPH,
        "config.pbtxt",
        "'X' is TYPE_FP32 [-1, 63]",
        "write `data_type: TYPE_FP32 dims: [-1, 64]`",
    ),
    no_vision(
        "digits-of-another-type",
        _digits_config(("TYPE_INT64", "TYPE_FP32")),
        C.GRAPH,
        "config.pbtxt",
        "'label' is TYPE_FP32 [-1]",
        "write `data_type: TYPE_INT64 dims: [-1]`",
    ),
    no_vision("digits-of-nine-labels", _digits_of_nine_labels, C.LABELS, "labels.txt", "9 lines", "10 values a row"),
    no_vision("digits-without-a-version", _digits_at("model.onnx"), C.VERSION, "model.onnx", "move it to 1/model.onnx"),
    no_vision("digits-v1", _digits_at("v1/model.onnx"), C.VERSION, "v1", "rename it to '1'"),
)
