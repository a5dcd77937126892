"""Each service account of the dev overlay can do its list and nothing else."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.client import Cluster
from tools.cluster.kubernetes import kubectl
from tools.cluster.platform.dev_overlay import NAMESPACE

pytestmark = pytest.mark.cluster

Allowed = set[tuple[str, str]]

_WATCHED = (
    "inferenceservices.serving.kserve.io",
    "inferencegraphs.serving.kserve.io",
    "revisions.serving.knative.dev",
    "configmaps/model-repository-status",
)
_MAY: dict[str, Allowed] = {
    "gateway": {(verb, kind) for verb in ("get", "list", "watch") for kind in _WATCHED},
    "repository-sync": {
        *((verb, "inferenceservices.serving.kserve.io") for verb in ("list", "create", "patch", "delete")),
        ("patch", "configmaps/model-repository-status"),
    },
}
# Kubernetes lets everybody ask what they may do themselves.
_EVERYBODY = ("authorization.k8s.io", "authentication.k8s.io")


def allowed(account: str, namespace: str) -> Allowed:
    """Everything that an account may do in a namespace, as the API server's authorizer lists it."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    name = f"system:serviceaccount:{NAMESPACE}:{account}"
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated")
    as_account = ("--as", name, *(f"--as-group={group}" for group in groups))
    told = json.loads(
        kubectl.kubectl("create", "--validate=false", "-f", "-", "-o", "json", *as_account, text=json.dumps(review))
    )
    assert not told["status"]["incomplete"]
    return {pair for rule in told["status"]["resourceRules"] for pair in pairs(rule)}


def pairs(rule: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            if group not in _EVERYBODY:
                only = "".join(f"/{name}" for name in rule.get("resourceNames", ()))
                yield from ((verb, f"{resource}.{group}".rstrip(".") + only) for verb in rule["verbs"])


@pytest.mark.parametrize("account", ["gateway", "predictor", "redis", "repository-sync", "default"])
def test_an_account_may_do_its_list_and_nothing_else(cluster: Cluster, account: str) -> None:
    assert allowed(account, NAMESPACE) == _MAY.get(account, set())


@pytest.mark.parametrize("namespace", ["default", "kube-system", "knative-serving"])
def test_the_gateway_may_do_nothing_in_other_namespaces(cluster: Cluster, namespace: str) -> None:
    assert allowed("gateway", namespace) == set()
