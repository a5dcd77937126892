"""The live tests' clients and questions, unchanged, through the cluster's gateway.

What looks into processes of local mode (their ids, the supervisor's counts) stays with tests/live.
"""

from contextlib import closing

import numpy as np
import pytest
import tritonclient.grpc

from tests.cluster.client import WAKING_SECONDS, Cluster
from tests.live.one_platform.test_clients import (  # noqa: F401  (pytest collects what is imported)
    curl,
    sdk,
    test_a_named_tool_is_called_with_arguments_that_fit_its_schema,
    test_a_request_that_the_model_rejects_is_the_sdks_bad_request,
    test_a_short_form_streams_chunks_of_text,
    test_an_unknown_model_is_not_found,
    test_every_form_of_a_question_is_answered,
    test_every_response_carries_the_callers_request_id,
    test_kserves_rest_and_grpc_clients,
    test_langchain_asks_and_streams,
    test_operators_pages_are_there,
    test_plain_text_in_streams_plain_text_out,
    test_the_gateways_metrics_count_what_was_asked,
    test_the_openai_sdk_gets_a_response,
    test_the_openai_sdk_gets_embeddings_that_tell_meanings_apart,
    test_the_openai_sdk_streams_what_it_would_get_whole,
    test_tools_that_the_model_may_choose_do_not_disturb_the_answer,
    test_tritonclient_over_grpc,
    test_tritonclient_over_http,
)
from tests.live.test_vision import (  # noqa: F401
    client,
    test_a_stream_of_images_gets_a_stream_of_responses,
    test_an_image_may_come_in_every_form,
    test_tritons_grpc_client_finds_its_server_behind_the_gateway,
    test_tritons_http_client_finds_its_server_behind_the_gateway,
    test_what_is_no_image_is_rejected_and_nothing_breaks,
)

pytestmark = pytest.mark.cluster

SLEEPER = "chat-fast"


@pytest.fixture(scope="module")
def platform(cluster: Cluster) -> Cluster:
    """What those tests take for the platform."""
    return cluster


def test_a_grpc_call_wakes_a_model_that_sleeps(cluster: Cluster) -> None:
    cluster.wait_asleep(SLEEPER)
    text = tritonclient.grpc.InferInput("text_input", [1], "BYTES")
    text.set_data_from_numpy(np.array([b"What is 2 + 3?"], dtype=np.object_))
    with closing(tritonclient.grpc.InferenceServerClient(cluster.grpc_target)) as asking:
        assert asking.is_server_live()
        answer = asking.infer(SLEEPER, [text], parameters={"max_tokens": 8}, client_timeout=WAKING_SECONDS)
    assert answer.as_numpy("text_output")[0]
