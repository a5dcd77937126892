"""What the gateway reads from the API server is what the overlay's documents describe."""

import pytest

from switchyard.cluster.objects import catalog_of
from switchyard.local.plan.render import render
from tests.cluster.client import Cluster
from tests.manifests.documents import of_kind
from tools.cluster.machine.layout import OVERLAY

pytestmark = pytest.mark.cluster


def test_the_gateway_lists_what_the_rendered_documents_describe(cluster: Cluster) -> None:
    documents = render(OVERLAY)
    services, graphs = (of_kind(documents, kind).values() for kind in ("InferenceService", "InferenceGraph"))
    described = catalog_of(services, graphs, [], {}).models
    told = {name: (row["kind"], row.get("max_model_len")) for name, row in cluster.models().items()}
    assert told == {name: (model.kind, model.context_length) for name, model in described.items()}
