"""What each service account may ask of the API server; tests/cluster asks a real one the same."""

from collections.abc import Iterator

import pytest

from tests.manifests.documents import CLUSTERS, ENVIRONMENTS, Document, Rendered, of_kind
from tests.manifests.pods import pods

READ = ("get", "list", "watch")

# Every (verb, resource) that an account has; accounts that are not here have none.
MAY = {
    "gateway": {
        (verb, resource)
        for verb in READ
        for resource in (
            "inferenceservices.serving.kserve.io",
            "inferencegraphs.serving.kserve.io",
            "revisions.serving.knative.dev",
            "configmaps./model-repository-status",
        )
    }
}


# components/model-sync: it changes only the services that it labeled, which roles cannot say.
MAY_IN_DEV = {
    "repository-sync": {
        *((verb, "inferenceservices.serving.kserve.io") for verb in ("list", "create", "patch", "delete")),
        ("patch", "configmaps./model-repository-status"),
    }
}


def may(environment: str) -> dict[str, set[tuple[str, str]]]:
    return MAY | MAY_IN_DEV if environment == "dev" else MAY


def grants(documents: list[Document]) -> Iterator[tuple[str, str, str]]:
    """Each account with a verb and a resource that its roles give it."""
    roles = of_kind(documents, "Role")
    for binding in of_kind(documents, "RoleBinding").values():
        for subject in binding["subjects"]:
            assert subject["kind"] == "ServiceAccount"
            for rule in roles[binding["roleRef"]["name"]]["rules"]:
                assert rule.keys() - {"resourceNames"} == {"apiGroups", "resources", "verbs"}
                only = "".join(f"/{name}" for name in rule.get("resourceNames", ()))
                for group in rule["apiGroups"]:
                    for resource in rule["resources"]:
                        yield from ((subject["name"], verb, f"{resource}.{group}{only}") for verb in rule["verbs"])


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_account_may_do_what_it_is_for_and_no_more(rendered: Rendered, environment: str) -> None:
    documents = rendered[environment]
    expected = {(account, *right) for account, rights in may(environment).items() for right in rights}

    assert {*grants(documents)} == expected
    assert not any("*" in grant[1:] or grant[2].startswith("secrets") for grant in grants(documents))
    assert not of_kind(documents, "ClusterRole")
    assert not of_kind(documents, "ClusterRoleBinding")


@pytest.mark.parametrize("environment", CLUSTERS)
def test_every_pod_has_an_account_of_its_own_kind(rendered: Rendered, environment: str) -> None:
    accounts = of_kind(rendered[environment], "ServiceAccount")
    expected = {name: name for name in ("gateway", "redis", "repository-sync")}

    for pod in pods(rendered[environment]):
        assert pod.spec["serviceAccountName"] == expected.get(pod.name, "predictor"), pod.name
        assert pod.spec["serviceAccountName"] in accounts


@pytest.mark.parametrize("environment", CLUSTERS)
def test_only_an_account_with_rights_gets_a_token(rendered: Rendered, environment: str) -> None:
    for name, found in of_kind(rendered[environment], "ServiceAccount").items():
        assert found["automountServiceAccountToken"] is False, name
    for pod in pods(rendered[environment]):
        account = pod.spec["serviceAccountName"]
        assert bool(pod.spec.get("automountServiceAccountToken")) == (account in may(environment)), pod.name


def test_no_secret_is_written_down(rendered: Rendered) -> None:
    assert [name for name, documents in rendered.items() if of_kind(documents, "Secret")] == []
