"""Caches: what engines need not compute again, Triton's responses, and Redis behind limits and keys."""

from dashboards import panels
from dashboards.panels import Board, Panel, Query, Row
from dashboards.promql import MODEL, VLLM, highest, increase, rate, ratio, select, share, total, used

_BY = ("model_name",)


def _hits(cache: str, labels: str = VLLM) -> str:
    return ratio(rate(f"{cache}_hits_total", labels, by=_BY), rate(f"{cache}_queries_total", labels, by=_BY))


_ENGINE = Row(
    title="Prefix cache of engines",
    panels=(
        Panel(
            title="Prompt tokens found in the cache",
            text="Part of the tokens looked up that were there: they need not be computed.",
            unit="percentunit",
            queries=(Query(_hits("vllm:prefix_cache"), "{{model_name}}"),),
            maximum=1,
            boards=("switchyard-models",),
            alerts=("PrefixHitRateHalved",),
        ),
        Panel(
            title="Tokens looked up and found",
            text="Tokens each second. A block must be full to be found: of a CPU engine it has 128 tokens.",
            unit="suffix: tok/s",
            queries=(
                Query(rate("vllm:prefix_cache_queries_total", VLLM, by=_BY), "{{model_name}} looked up"),
                Query(rate("vllm:prefix_cache_hits_total", VLLM, by=_BY), "{{model_name}} found"),
            ),
        ),
        Panel(
            title="Where prompt tokens come from",
            text="Computed, found in the engine's cache, or brought from another tier of the KV cache.",
            unit="suffix: tok/s",
            queries=(
                Query(
                    rate("vllm:prompt_tokens_by_source_total", VLLM, by=("model_name", "source")),
                    "{{model_name}} {{source}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            title="Cached tokens that tenants were billed",
            text="Part of input tokens that were cached, which are cheaper.",
            unit="percentunit",
            queries=(
                Query(
                    share(
                        rate("gateway_tokens_total", f'{MODEL}, kind="cached_input"', by=("model",)),
                        rate("gateway_tokens_total", f'{MODEL}, kind=~"input|cached_input"', by=("model",)),
                    ),
                    "{{model}}",
                ),
            ),
            maximum=1,
            boards=("switchyard-tenants",),
        ),
        Panel(
            title="KV cache used",
            text="Part that running requests hold; what is left keeps prefixes.",
            unit="percentunit",
            queries=(Query(highest(select("vllm:kv_cache_usage_perc", VLLM), "model_name"), "{{model_name}}"),),
            maximum=1,
            limits=(0.8, 0.95),
            alerts=("KVCacheFull",),
        ),
        Panel(
            title="Found in an outer tier",
            text="Part of the tokens looked up in a KV cache outside of the engine (LMCache) that were there.",
            unit="percentunit",
            queries=(
                Query(
                    _hits("vllm:external_prefix_cache"),
                    "{{model_name}}",
                    no_data="Only engines with an outer tier of the KV cache look anything up there.",
                ),
            ),
            maximum=1,
        ),
        Panel(
            title="Images found in the cache",
            text="Part of the images looked up whose encoding was there, of models that see.",
            unit="percentunit",
            queries=(
                Query(_hits("vllm:mm_cache"), "{{model_name}}", no_data="Only models that take images look any up."),
            ),
            maximum=1,
        ),
    ),
)

_TRITON = Row(
    title="Triton's response cache",
    panels=(
        Panel(
            title="Responses found in the cache",
            text="Part of requests whose response was there, of models whose config asks for a response cache.",
            unit="percentunit",
            queries=(
                Query(
                    ratio(
                        rate("nv_cache_num_hits_per_model", MODEL, by=("model",)),
                        f"({rate('nv_cache_num_hits_per_model', MODEL, by=('model',))}"
                        f" + {rate('nv_cache_num_misses_per_model', MODEL, by=('model',))})",
                    ),
                    "{{model}}",
                ),
            ),
            maximum=1,
            boards=("switchyard-triton",),
        ),
    ),
)

_REDIS = Row(
    title="Redis",
    panels=(
        Panel(
            title="Up",
            text="1 while the exporter reaches Redis, which holds limits, keys and usage in a cluster.",
            unit="short",
            queries=(Query(f"min by (instance) ({select('redis_up')})", "{{instance}}"),),
            kind="states",
            boards=("switchyard-health",),
            alerts=("RedisDown", "QuotaStoreDown"),
        ),
        Panel(
            title="Memory used",
            text="Part of maxmemory; without a maxmemory there is no value.",
            unit="percentunit",
            queries=(
                Query(used("redis_memory_used_bytes", "redis_memory_max_bytes", by=("instance",)), "{{instance}}"),
            ),
            maximum=1,
            limits=(0.8, 0.9),
            alerts=("RedisMemoryHigh",),
        ),
        Panel(
            title="Evicted keys",
            text="Keys thrown out for want of memory in the time shown. Limits and usage must never be.",
            unit="short",
            queries=(Query(increase("redis_evicted_keys_total", by=("instance",)), "{{instance}}"),),
            alerts=("RedisEvicting",),
        ),
        Panel(
            title="Clients",
            text="Connections, and connections that Redis did not accept as there were too many.",
            unit="short",
            queries=(
                Query(total(select("redis_connected_clients"), "instance"), "{{instance}} connected"),
                Query(increase("redis_rejected_connections_total", by=("instance",)), "{{instance}} not accepted"),
            ),
        ),
        Panel(
            title="Commands",
            text="Commands each second by name; limits are scripts, so evalsha leads.",
            unit="ops",
            queries=(Query(f"topk(8, {rate('redis_commands_total', by=('cmd',))})", "{{cmd}}"),),
            stacked=True,
        ),
        Panel(
            title="Time of a command",
            text="Mean seconds by command, inside Redis.",
            unit="s",
            queries=(
                Query(
                    "topk(8, "
                    + ratio(
                        rate("redis_commands_duration_seconds_total", by=("cmd",)),
                        rate("redis_commands_total", by=("cmd",)),
                    )
                    + ")",
                    "{{cmd}}",
                ),
            ),
        ),
        Panel(
            title="Keys",
            text="Keys in each database.",
            unit="short",
            queries=(Query(total(select("redis_db_keys"), "instance", "db"), "{{instance}} {{db}}"),),
        ),
    ),
)

_NONE = "Only tenants with `cache:` in tenants.yaml have responses cached."
_RESPONSES = Row(
    title="Responses of the gateway",
    panels=(
        Panel(
            title="Requests at the cache of responses",
            text="Requests each second by what the cache had; a store that is away makes all of them bypass it.",
            unit="reqps",
            queries=(
                Query(
                    rate("gateway_cache_requests_total", MODEL, by=("model", "result")),
                    "{{model}} {{result}}",
                    no_data=_NONE,
                ),
                Query(
                    rate("gateway_cache_embeddings_total", MODEL, by=("model", "result")),
                    "{{model}} embeddings {{result}}",
                    no_data=_NONE,
                ),
                Query(rate("gateway_cache_store_errors_total", by=()), "without the store"),
            ),
            stacked=True,
        ),
        Panel(
            title="Bytes from the cache",
            text="Bytes of responses each second that no model made.",
            unit="Bps",
            queries=(Query(rate("gateway_cache_bytes_total", MODEL, by=("model",)), "{{model}}", no_data=_NONE),),
        ),
        Panel(
            title="Requests whose response was kept",
            text="Requests each second that were joined, replayed or resumed, or whose key told of something wrong.",
            unit="reqps",
            queries=(Query(rate("gateway_replays_total", by=("how",)), "{{how}}"),),
            stacked=True,
        ),
        Panel(
            title="Responses that are recorded",
            text="What became of them each second, how many run, and what waits in memory for the store.",
            unit="short",
            queries=(
                Query(rate("gateway_recordings_total", by=("outcome",)), "{{outcome}}"),
                Query(total(select("gateway_recordings_running")), "running"),
                Query(total(select("gateway_recordings_unstored_bytes")), "bytes in memory"),
            ),
        ),
    ),
)

BOARD = Board(
    uid="switchyard-cache",
    title="Caches",
    text="What need not be computed again, and the store behind limits.",
    variables=(panels.NAMESPACE, panels.MODEL),
    rows=(_ENGINE, _TRITON, _REDIS, _RESPONSES),
)
