"""What an image is made of, as a CycloneDX 1.6 document.

Source: https://cyclonedx.org/docs/1.6/json/ and the package URLs of https://github.com/package-url/purl-spec.
"""

import platform
from collections.abc import Sequence
from typing import Any

from tools.images.packages import Package
from tools.images.system import Deb


def document(name: str, version: str, debs: Sequence[Deb], packages: Sequence[Package]) -> dict[str, Any]:
    """List the components of the image ``name``: Debian's packages, Python and its distributions."""
    python = platform.python_version()
    components = [
        *(_component(deb.name, deb.version, f"pkg:deb/debian/{deb.name}@{deb.version}") for deb in debs),
        _component("python", python, f"pkg:generic/python@{python}", "Python-2.0.1"),
        *(_component(one.name, one.version, f"pkg:pypi/{one.name}@{one.version}", one.license) for one in packages),
    ]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": name, "version": version}},
        "components": components,
    }


def _component(name: str, version: str, purl: str, license: str = "") -> dict[str, Any]:
    component: dict[str, Any] = {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl}
    if license:
        component["licenses"] = [{"expression": license}]
    return component
