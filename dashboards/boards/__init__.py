"""All boards, in the order in which they are listed."""

from dashboards.boards import (
    cache,
    health,
    models,
    nodes,
    rollouts,
    routing,
    scaling,
    slo,
    tenants,
    triton,
)
from dashboards.panels import Board

BOARDS: tuple[Board, ...] = tuple(
    module.BOARD for module in (slo, models, scaling, routing, triton, cache, tenants, rollouts, nodes, health)
)
