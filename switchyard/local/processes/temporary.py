"""The temporary files of a run: in a folder of its own, as a pod has its own ``/tmp``, which goes with the run.

Engines leave files behind at each end: vLLM a socket per process, whether it was stopped or killed.
"""

import tempfile
from pathlib import Path


def temporary_folder(run_id: str) -> Path:
    """Return the folder of a run; it is short, since unix(7) allows 107 bytes for the path of a socket in it."""
    return Path(tempfile.gettempdir()) / f"switchyard-{run_id}"
