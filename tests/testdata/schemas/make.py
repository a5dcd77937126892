"""Makes the schemas beside it: ``python -m tests.testdata.schemas.make``, again when a manifest uses a new field.

They are KServe's own CRD schemas pruned to the fields that this project's overlays use, so that two megabytes become a
few kilobytes, and closed, so that a misspelt field is refused instead of dropped by the API server. Needs Go, which
downloads KServe's module.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.manifests.documents import Document, render_all

KSERVE = "github.com/kserve/kserve@v0.20.0"
HERE = Path(__file__).parent
PLURALS = {
    "ClusterServingRuntime": "clusterservingruntimes",
    "InferenceGraph": "inferencegraphs",
    "InferenceService": "inferenceservices",
}
KEPT = ("type", "format", "enum", "pattern", "minimum", "maximum", "anyOf", "minLength", "maxLength")

Schema = Mapping[str, Any]


def prune(schema: Schema, values: Iterable[object]) -> dict[str, Any]:
    """The part of ``schema`` that describes ``values``, closed to other fields."""
    given = list(values)
    kept: dict[str, Any] = {word: schema[word] for word in KEPT if word in schema}
    maps = [value for value in given if isinstance(value, Mapping)]
    if "properties" in schema:
        used = {key for value in maps for key in value} & schema["properties"].keys()
        kept["properties"] = {
            key: prune(schema["properties"][key], (value[key] for value in maps if key in value))
            for key in sorted(used)
        }
        kept["additionalProperties"] = False
        kept["required"] = schema.get("required", [])
    elif "additionalProperties" in schema:
        items = [item for value in maps for item in value.values()]
        kept["additionalProperties"] = prune(schema["additionalProperties"], items)
    elif "items" in schema:
        kept["items"] = prune(schema["items"], (item for value in given if isinstance(value, list) for item in value))
    return kept


def crd(kind: str) -> Document:
    """KServe's CRD for a kind."""
    done = subprocess.run(
        ["go", "mod", "download", "-json", KSERVE], capture_output=True, text=True, check=True, cwd=HERE
    )
    folder = Path(json.loads(done.stdout)["Dir"]) / "config/crd/full"
    document: Document = yaml.safe_load((folder / f"serving.kserve.io_{PLURALS[kind]}.yaml").read_text())
    return document


def main() -> int:
    rendered = [document for documents in render_all().values() for document in documents]
    for kind in PLURALS:
        used = [document for document in rendered if document["kind"] == kind]
        (version,) = {document["apiVersion"].partition("/")[2] for document in used}
        versions = {entry["name"]: entry["schema"]["openAPIV3Schema"] for entry in crd(kind)["spec"]["versions"]}
        schema = {"$comment": f"made from {KSERVE} by make.py", **prune(versions[version], used)}
        path = HERE / f"{kind.lower()}.json"
        path.write_text(json.dumps(schema, indent=1) + "\n")
        print(path, path.stat().st_size, "bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
