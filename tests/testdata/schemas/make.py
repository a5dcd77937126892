"""Makes the schemas beside it: ``python -m tests.testdata.schemas.make``, again when a manifest uses a new field.

They are the schemas of Kubernetes, KServe, the Gateway API and two operators, pruned to the fields that this project's
manifests use, so that megabytes become kilobytes, and closed, so that a misspelled field is rejected
instead of dropped by the API server. Needs Go, which downloads the modules that they lie in.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from switchyard.repository.service import Place, derived
from tests.manifests.documents import Document, render_all, render_optional
from tests.manifests.test_derived_services import DROPPED

KUBERNETES = "k8s.io/kubernetes@v1.34.4"
KSERVE = "github.com/kserve/kserve@v0.20.0"
GATEWAY_API = "sigs.k8s.io/gateway-api@v1.5.1"
PROMETHEUS_OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
GRAFANA_OPERATOR = "github.com/grafana/grafana-operator/v5@v5.24.0"
_MONITORING = "example/prometheus-operator-crd/monitoring.coreos.com"
HERE = Path(__file__).parent
CRDS = {
    "ClusterServingRuntime": (KSERVE, "config/crd/full/serving.kserve.io_clusterservingruntimes.yaml"),
    "InferenceGraph": (KSERVE, "config/crd/full/serving.kserve.io_inferencegraphs.yaml"),
    "InferenceService": (KSERVE, "config/crd/full/serving.kserve.io_inferenceservices.yaml"),
    "LocalModelCache": (KSERVE, "config/crd/full/localmodel/serving.kserve.io_localmodelcaches.yaml"),
    "LocalModelNodeGroup": (KSERVE, "config/crd/full/localmodel/serving.kserve.io_localmodelnodegroups.yaml"),
    "Gateway": (GATEWAY_API, "config/crd/standard/gateway.networking.k8s.io_gateways.yaml"),
    "GRPCRoute": (GATEWAY_API, "config/crd/standard/gateway.networking.k8s.io_grpcroutes.yaml"),
    "HTTPRoute": (GATEWAY_API, "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"),
    "GrafanaDashboard": (GRAFANA_OPERATOR, "config/crd/bases/grafana.integreatly.org_grafanadashboards.yaml"),
    "PodMonitor": (PROMETHEUS_OPERATOR, f"{_MONITORING}_podmonitors.yaml"),
    "PrometheusRule": (PROMETHEUS_OPERATOR, f"{_MONITORING}_prometheusrules.yaml"),
    "ServiceMonitor": (PROMETHEUS_OPERATOR, f"{_MONITORING}_servicemonitors.yaml"),
}
KEPT = ("type", "format", "enum", "pattern", "minimum", "maximum", "anyOf", "minLength", "maxLength")
INT_OR_STRING = {"anyOf": [{"type": "integer"}, {"type": "string"}]}

Schema = Mapping[str, Any]
Resolve = Callable[[Schema], Schema]


def prune(schema: Schema, values: Iterable[object], resolve: Resolve) -> dict[str, Any]:
    """The part of ``schema`` that describes ``values``, closed to other fields; ``resolve`` follows a reference."""
    schema = resolve(schema)
    if schema.get("format") == "int-or-string":
        return dict(INT_OR_STRING)
    given = list(values)
    kept: dict[str, Any] = {word: schema[word] for word in KEPT if word in schema}
    maps = [value for value in given if isinstance(value, Mapping)]
    if "properties" in schema:
        used = {key for value in maps for key in value} & schema["properties"].keys()
        kept["properties"] = {
            key: prune(schema["properties"][key], (value[key] for value in maps if key in value), resolve)
            for key in sorted(used)
        }
        kept["additionalProperties"] = False
        kept["required"] = schema.get("required", [])
    elif "additionalProperties" in schema:
        items = [item for value in maps for item in value.values()]
        kept["additionalProperties"] = prune(schema["additionalProperties"], items, resolve)
    elif "items" in schema:
        items = [item for value in given if isinstance(value, list) for item in value]
        kept["items"] = prune(schema["items"], items, resolve)
    return kept


@cache
def module(name: str) -> Path:
    """The folder of a Go module, downloaded if it is not there."""
    done = subprocess.run(
        ["go", "mod", "download", "-json", name], capture_output=True, text=True, check=True, cwd=HERE
    )
    return Path(json.loads(done.stdout)["Dir"])


@cache
def definitions() -> Mapping[str, Schema]:
    """Kubernetes' own OpenAPI definitions by name."""
    text = (module(KUBERNETES) / "api/openapi-spec/swagger.json").read_text()
    found: Mapping[str, Schema] = json.loads(text)["definitions"]
    return found


def follow(schema: Schema) -> Schema:
    """What a reference into ``definitions`` names; any other schema as it is."""
    return definitions()[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def source(kind: str, api_version: str) -> tuple[str, Schema, Resolve]:
    """Where the schema of a kind comes from, the schema, and how its references are followed."""
    group, _, version = api_version.rpartition("/")
    if kind not in CRDS:
        named = {"group": group, "version": version, "kind": kind}
        (own,) = [one for one in definitions().values() if named in one.get("x-kubernetes-group-version-kind", ())]
        return KUBERNETES, own, follow
    name, path = CRDS[kind]
    text = (module(name) / path).read_text()
    versions = {one["name"]: one["schema"]["openAPIV3Schema"] for one in yaml.safe_load(text)["spec"]["versions"]}
    return name, versions[version], lambda schema: schema


def main() -> int:
    rendered: list[Document] = [document for documents in render_all().values() for document in documents]
    rendered += render_optional()
    rendered += [derived(name, facts, Place(gpus=1)) for name, facts in DROPPED.items()]
    kinds = {document["kind"]: document["apiVersion"] for document in rendered}
    for old in HERE.glob("*.json"):
        old.unlink()
    for kind, api_version in sorted(kinds.items()):
        name, schema, resolve = source(kind, api_version)
        used = [document for document in rendered if document["kind"] == kind]
        path = HERE / f"{kind.lower()}.json"
        pruned = {"$comment": f"made from {name} by make.py", **prune(schema, used, resolve)}
        path.write_text(json.dumps(pruned, indent=1) + "\n")
        print(path, path.stat().st_size, "bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
