"""What an overlay's objects come to together fits into what the namespace and the nodes' disks allow."""

from collections import Counter

import pytest

from tests.manifests.documents import CLUSTERS, Document, Rendered, containers, of_kind
from tests.manifests.sums import pods_of, quantity, storage, times


def hard(documents: list[Document]) -> dict[str, int]:
    limits = of_kind(documents, "ResourceQuota")["namespace"]["spec"]["hard"]
    return {name: quantity(value) for name, value in limits.items()}


def require_room(environment: str, documents: list[Document], asked: Counter[str]) -> None:
    """Fail with a sentence for each thing that is asked for beyond the quota."""
    beyond = [
        f"the pods of {environment} ask for {asked[name] / 1000:g} {name}, and its ResourceQuota has {most / 1000:g}: "
        "raise it (kustomize/components/quota, kustomize/overlays/prod/quota.yaml)"
        for name, most in hard(documents).items()
        if asked[name] > most
    ]
    assert not beyond, "\n".join(beyond)


@pytest.mark.parametrize("environment", CLUSTERS)
def test_everything_may_be_awake_at_once_while_one_service_is_rolled_out(rendered: Rendered, environment: str) -> None:
    workloads = [*pods_of(rendered[environment])]
    awake: Counter[str] = sum((times(amounts, max(least, 1)) for _, least, _, amounts in workloads), Counter())
    for _, least, _, amounts in workloads:
        require_room(environment, rendered[environment], awake + times(amounts, max(least, 1)))


def test_production_has_room_for_every_service_at_its_most_pods_while_one_is_rolled_out(rendered: Rendered) -> None:
    workloads = [*pods_of(rendered["prod"])]
    most: Counter[str] = sum((times(amounts, pods) for _, _, pods, amounts in workloads), Counter())
    for _, _, pods, amounts in workloads:
        require_room("prod", rendered["prod"], most + times(amounts, pods))
    everything = most + most
    del everything["requests.nvidia.com/gpu"]  # of one rollout at a time: kustomize/overlays/prod/quota.yaml
    require_room("prod", rendered["prod"], everything)


@pytest.mark.parametrize("environment", CLUSTERS)
def test_volume_claims_fit_those_of_kserves_caches_included(rendered: Rendered, environment: str) -> None:
    claims, quota = storage(rendered[environment]), hard(rendered[environment])
    assert sum(claims) <= quota["requests.storage"]
    assert len(claims) <= quota["persistentvolumeclaims"]
    assert "LocalModelCache" not in {one["kind"] for one in rendered[environment]} or len(claims) == 4


def test_cached_models_fit_their_claims_and_together_the_disk(rendered: Rendered) -> None:
    groups = of_kind(rendered["prod"], "LocalModelNodeGroup")
    caches = of_kind(rendered["prod"], "LocalModelCache").values()
    for name, group in groups.items():
        sizes = [quantity(one["spec"]["modelSize"]) for one in caches if name in one["spec"]["nodeGroups"]]
        claim, volume = group["spec"]["persistentVolumeClaimSpec"], group["spec"]["persistentVolumeSpec"]
        asked = quantity(claim["resources"]["requests"]["storage"])
        assert max(sizes) <= asked <= quantity(volume["capacity"]["storage"])
        assert sum(sizes) <= quantity(group["spec"]["storageLimit"])
        assert claim["storageClassName"] == volume["storageClassName"]


@pytest.mark.parametrize("environment", CLUSTERS)
def test_no_container_or_claim_is_larger_than_one_may_be(rendered: Rendered, environment: str) -> None:
    documents = rendered[environment]
    container, claim = of_kind(documents, "LimitRange")["container-defaults"]["spec"]["limits"]
    for document in documents:
        if document["kind"] in ("ClusterServingRuntime", "Deployment", "StatefulSet"):
            for one in containers(document):
                assert quantity(one["resources"]["limits"]["memory"]) <= quantity(container["max"]["memory"])
    assert max(storage(documents)) <= quantity(claim["max"]["storage"])


def test_what_is_beyond_the_quota_is_said_in_a_sentence(rendered: Rendered) -> None:
    gpus = hard(rendered["dev"])["requests.nvidia.com/gpu"]
    require_room("dev", rendered["dev"], Counter({"requests.nvidia.com/gpu": gpus}))
    with pytest.raises(AssertionError, match=r"pods of dev ask for 5 requests.nvidia.com/gpu, and .* has 4: raise it"):
        require_room("dev", rendered["dev"], Counter({"requests.nvidia.com/gpu": gpus + 1000}))


def test_quantities_are_those_of_kubernetes() -> None:
    asked = ("250m", "2", "16Gi", "512Mi", "0.5")
    assert [*map(quantity, asked)] == [250, 2000, 1000 * 16 * 2**30, 1000 * 2**29, 500]
