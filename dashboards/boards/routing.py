"""Routing: which tier the complexity predictor chooses and why, and how graphs pass requests through their steps."""

from dashboards import panels
from dashboards.panels import Board, Panel, Query, Row
from dashboards.promql import NAMESPACE, increase, quantile, rate, select, share, total

_COMPLEXITY = Row(
    title="Complexity",
    panels=(
        Panel(
            title="Choices by tier",
            text="Chats each second that went to the fast or the reasoning tier.",
            unit="reqps",
            queries=(Query(rate("routing_decisions_total", by=("tier",)), "{{tier}}"),),
            stacked=True,
        ),
        Panel(
            title="Reasons of choices",
            text=(
                "Why a tier was chosen: the classifier's score, a conversation that stays, a header, what only one "
                "tier can do."
            ),
            unit="reqps",
            queries=(Query(rate("routing_decisions_total", by=("tier", "reason")), "{{tier}}: {{reason}}"),),
            stacked=True,
        ),
        Panel(
            title="Share of the reasoning tier",
            text="Part of the last 500 free choices that went to reasoning, and the part that was asked for.",
            unit="percentunit",
            queries=(
                Query(f"avg({select('routing_share')})", "is"),
                Query(f"avg({select('routing_share_target')})", "asked for"),
            ),
            maximum=1,
            alerts=("RoutingShareOff",),
        ),
        Panel(
            title="Scores of the classifier",
            text="How many chats had which score; a shift means that traffic changed, or the classifier.",
            unit="short",
            queries=(Query(increase("routing_score_bucket", by=("le",), over="$__rate_interval"), "{{le}}"),),
            kind="heatmap",
            alerts=("RoutingShareOff",),
        ),
        Panel(
            title="Time of a choice",
            text="From a request's arrival at the complexity predictor until its tier was chosen.",
            unit="s",
            queries=tuple(
                Query(quantile(part, "routing_decision_seconds"), f"p{part * 100:.0f}") for part in (0.5, 0.95, 0.99)
            ),
        ),
        Panel(
            title="Moves and shadows",
            text=(
                "Conversations that went on with the other tier; chats that were asked of both, and whether those "
                "agreed."
            ),
            unit="short",
            queries=(
                Query(increase("routing_moves_total", by=("tier",)), "moved to {{tier}}"),
                Query(
                    increase("routing_shadow_total", by=("result",)),
                    "shadow {{result}}",
                    no_data="Chats are asked of both tiers only where a shadow is configured.",
                ),
            ),
        ),
    ),
)

_GRAPH = Row(
    title="Graphs",
    panels=(
        Panel(
            title="Requests of graphs by code",
            text="cancelled: the client disconnected; broken: a response ended early, after its headers.",
            unit="reqps",
            queries=(Query(rate("graph_requests_total", by=("service", "code")), "{{service}} {{code}}"),),
            stacked=True,
            boards=("switchyard-slo",),
        ),
        Panel(
            title="Time of a graph's request",
            text="From request to last byte, all steps included: 95 of 100 were faster.",
            unit="s",
            queries=(Query(quantile(0.95, "graph_request_seconds", by=("service",)), "p95 {{service}}"),),
        ),
        Panel(
            title="In flight in graphs",
            text="Requests that graphs are handling now.",
            unit="short",
            queries=(Query(total(select("graph_requests_in_flight"), "service"), "{{service}}"),),
        ),
        Panel(
            title="Time of nodes",
            text="From reaching a node until its response begins: 95 of 100 were faster. A node holds those below it.",
            unit="s",
            queries=(Query(quantile(0.95, "graph_node_seconds", by=("service", "node")), "{{service}} {{node}}"),),
        ),
        Panel(
            title="Time of steps",
            text="From starting a step until its response begins: 95 of 100 were faster.",
            unit="s",
            queries=(
                Query(
                    quantile(0.95, "graph_step_seconds", by=("service", "node", "step")),
                    "{{service}} {{node}}/{{step}}",
                ),
            ),
            boards=("switchyard-models", "switchyard-triton"),
        ),
        Panel(
            title="Steps that fail",
            text="Part of a step's runs that ended with 5xx or without a response.",
            unit="percentunit",
            queries=(
                Query(
                    share(
                        rate(
                            "graph_step_requests_total",
                            f'{NAMESPACE}, code=~"5..|error"',
                            by=("service", "node", "step"),
                        ),
                        rate("graph_step_requests_total", by=("service", "node", "step")),
                    ),
                    "{{service}} {{node}}/{{step}}",
                ),
            ),
            maximum=1,
            alerts=("GraphStepFailing",),
        ),
        Panel(
            title="Requests without a step",
            text="No condition of a Switch node fitted; the graph's description or the request is wrong.",
            unit="cps",
            queries=(Query(rate("graph_node_unmatched_total", by=("service", "node")), "{{service}} {{node}}"),),
            alerts=("GraphStepUnmatched",),
        ),
        Panel(
            title="Retries of steps",
            text="Before the first byte of a response, each second; clients did not notice.",
            unit="cps",
            queries=(
                Query(
                    rate("graph_step_retries_total", by=("service", "node", "step")), "{{service}} {{node}}/{{step}}"
                ),
            ),
            alerts=("GraphStepFailing",),
        ),
        Panel(
            title="How a splitter splits",
            text="Runs of each step in the time shown: a canary's weight should be seen here.",
            unit="short",
            queries=(
                Query(
                    increase("graph_step_requests_total", by=("service", "node", "step")),
                    "{{service}} {{node}}/{{step}}",
                ),
            ),
            boards=("switchyard-rollouts",),
        ),
    ),
)

BOARD = Board(
    uid="switchyard-routing",
    title="Routing and graphs",
    text="What the complexity predictor chooses, and how requests go through graphs.",
    variables=(panels.NAMESPACE,),
    rows=(_COMPLEXITY, _GRAPH),
)
