"""Names of spans' attributes, in every process the same.

Those of OpenTelemetry's conventions are as ``opentelemetry-semantic-conventions`` has them, which is not imported in
every process; a test compares the two. Values are names, numbers and codes: never what a request or a response says.
"""

from collections.abc import Mapping

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
STREAM = "gen_ai.request.stream"
FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"

METHOD = "http.request.method"
ROUTE = "http.route"
STATUS = "http.response.status_code"
RPC_SYSTEM = "rpc.system.name"
RPC_METHOD = "rpc.method"
RPC_STATUS = "rpc.response.status_code"
ERROR_TYPE = "error.type"

CONVENTIONS = frozenset(
    (
        *(OPERATION, PROVIDER, REQUEST_MODEL, STREAM, FIRST_CHUNK),
        *(INPUT_TOKENS, OUTPUT_TOKENS, CACHED_TOKENS, REASONING_TOKENS),
        *(METHOD, ROUTE, STATUS, RPC_SYSTEM, RPC_METHOD, RPC_STATUS, ERROR_TYPE),
    )
)

MODEL = "switchyard.model"
TENANT = "switchyard.tenant"
KEY_ID = "switchyard.key_id"
REQUEST_ID = "switchyard.request_id"
PROTOCOL = "switchyard.protocol"
OUTCOME = "switchyard.outcome"  # as in metrics: ok, rejected, failed, cancelled
TIER = "switchyard.tier"
REASON = "switchyard.reason"
CACHE = "switchyard.cache"  # of the engine's prefix cache: hit if it had any of the prompt's tokens, else miss
QUEUE_SECONDS = "switchyard.queue_seconds"  # waited for a place of a model that was full
WAKE_SECONDS = "switchyard.wake_seconds"  # waited for a model that slept
LOAD_SECONDS = "switchyard.load_seconds"  # waited for Triton to load the model
RETRIES = "switchyard.retries"

# Operations of the paths of OpenAI and Anthropic, as the conventions call them; others have none.
_OPERATIONS: Mapping[str, str] = {
    "/v1/chat/completions": "chat",
    "/v1/messages": "chat",
    "/v1/responses": "chat",
    "/v1/completions": "text_completion",
    "/v1/embeddings": "embeddings",
}


def operation_of(path: str) -> str:
    """Return the operation that a path of vLLM's asks for; empty for one that the conventions have no name for."""
    return _OPERATIONS.get(path.removeprefix("/openai"), "")
