"""What lies beside a Triton model: modules that Triton's interpreter finds in the version's folder."""

import importlib
import sys
from pathlib import Path
from typing import Any

VISION = Path(__file__).parents[2] / "model-repository" / "vision"


def module(model: str, name: str) -> Any:
    """The module ``name`` in the first version of ``model``, imported as Triton would."""
    folder = str(VISION / model / "1")
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(name)
