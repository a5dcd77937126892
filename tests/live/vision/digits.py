"""A classifier of handwritten digits as a data scientist would make one: trained, exported, and put into the folder."""

import warnings
from pathlib import Path

import numpy as np


def add_digits(repository: Path) -> tuple[np.ndarray, np.ndarray]:
    """Trains on scikit-learn's digits and puts the classifier into the repository; 20 pictures it has not seen."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from skl2onnx import to_onnx
        from sklearn.datasets import load_digits
        from sklearn.linear_model import LogisticRegression

        pixels, digits = load_digits(return_X_y=True)
        pixels = pixels.astype(np.float32)
        model = LogisticRegression(max_iter=500).fit(pixels[:-20], digits[:-20])
        exported = to_onnx(model, pixels[:1], options={"zipmap": False})
    made = repository / ".digits"
    (made / "1").mkdir(parents=True)
    (made / "1" / "model.onnx").write_bytes(exported.SerializeToString())
    (made / "labels.txt").write_text("".join(f"the digit {digit}\n" for digit in range(10)))
    (made / "config.pbtxt").write_text(
        'backend: "onnxruntime"\nmax_batch_size: 16\n'
        'input { name: "X" data_type: TYPE_FP32 dims: [64] }\n'
        'output { name: "probabilities" data_type: TYPE_FP32 dims: [10] label_filename: "labels.txt" }\n'
        'parameters { key: "scale" value { string_value: "0.0627451" } }\n'
    )
    made.rename(repository / "digits")
    return pixels[-20:], digits[-20:]
