"""The live tests' clients and questions, unchanged, through the cluster's gateway.

What looks into processes of local mode (their ids, the supervisor's counts) stays with tests/live. So does gRPC:
Knative opens one port per service, and ours speaks HTTP/1.1.
"""

from contextlib import closing

import pytest
import tritonclient.grpc
from tritonclient.utils import InferenceServerException

from tests.cluster.client import Cluster
from tests.live.test_clients import (  # noqa: F401  (pytest collects what is imported)
    curl,
    sdk,
    test_a_named_tool_is_called_with_arguments_that_fit_its_schema,
    test_a_request_that_the_model_refuses_is_the_sdks_bad_request,
    test_a_short_form_streams_pieces_of_text,
    test_an_unknown_model_is_not_found,
    test_every_answer_carries_the_callers_request_id,
    test_every_form_of_a_question_is_answered,
    test_langchain_asks_and_streams,
    test_operators_pages_are_there,
    test_plain_text_in_streams_plain_text_out,
    test_the_gateways_metrics_count_what_was_asked,
    test_the_openai_sdk_gets_a_response,
    test_the_openai_sdk_gets_embeddings_that_tell_meanings_apart,
    test_the_openai_sdk_streams_what_it_would_get_whole,
    test_tools_that_the_model_may_choose_do_not_disturb_the_answer,
    test_tritonclient_over_http,
)
from tests.live.test_vision import (  # noqa: F401
    client,
    test_a_picture_may_come_in_every_form,
    test_tritons_http_client_finds_its_server_behind_the_gateway,
    test_what_is_no_picture_is_refused_and_nothing_breaks,
)

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def platform(cluster: Cluster) -> Cluster:
    """What those tests take for the platform."""
    return cluster


def test_a_grpc_call_is_told_to_use_http(cluster: Cluster) -> None:
    with closing(tritonclient.grpc.InferenceServerClient(cluster.grpc_target)) as asking:
        assert asking.is_server_live()
        with pytest.raises(InferenceServerException, match="use V2 over HTTP"):
            asking.infer("chat-fast", [])
