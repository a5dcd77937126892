"""Triton from its wheel, in an image that takes the place of NVIDIA's where that cannot be had.

The Dockerfile's target of the same name begins with NVIDIA's image, which has more backends and runs on GPUs.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tools.images.interpreter import SITE, VERSION
from tools.images.oci import Entry, ImageError
from tools.images.packages import Package
from tools.images.tree import walk

_SERVER = f"{SITE}/pytriton/tritonserver"
_BACKENDS = "opt/tritonserver/backends"
_STUB = "triton_python_backend_stub"
_COMMAND = f"""#!/bin/sh
# The name and the arguments that it has in NVIDIA's image.
export LD_LIBRARY_PATH=/{SITE}/nvidia_pytriton.libs
exec /{_SERVER}/bin/tritonserver --backend-directory=/{_BACKENDS} --cache-directory=/{_SERVER}/caches "$@"
"""


def site(environment: Path) -> Path:
    """Return the folder of distributions of Triton's environment.

    Raises:
        ImageError: it is missing, or for another Python than the one that goes into the image.
    """
    folder = environment / "lib" / f"python{VERSION}" / "site-packages"
    if not folder.is_dir():
        raise ImageError(f"{environment} has no packages for Python {VERSION}: run `make setup`")
    return folder


def entries(packages: Sequence[Package], repository: Path) -> Iterator[Entry]:
    """List the command and the folder of backends: the wheel's for Python with its helper, and ours for ONNX models."""
    yield Entry(path="usr/local/bin/tritonserver", content=_COMMAND.encode(), mode=0o755)
    for package in packages:
        for entry in package.files() if package.name == "nvidia-pytriton" else ():
            if entry.path.startswith(f"{_SERVER}/backends/"):
                yield Entry(path=f"{_BACKENDS}/{entry.path.removeprefix(f'{_SERVER}/backends/')}", source=entry.source)
            elif entry.path == f"{_SERVER}/python_backend_stubs/{VERSION}/{_STUB}":
                yield Entry(path=f"{_BACKENDS}/python/{_STUB}", source=entry.source, mode=0o755)
    yield from walk(repository / "predictors/vision/triton/backends", _BACKENDS)
