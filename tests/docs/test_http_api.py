"""docs/reference/http-api.md and the code say the same."""

import re
from pathlib import Path

from switchyard.gateway.routes.table import ANY, ROUTES, RPC_ROUTES, VISION
from switchyard.gateway.settings import Settings
from switchyard.http.api_errors import CODES

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "http-api.md"
PROTOCOLS = {"openai": "OpenAI", "anthropic": "Anthropic", "v2": "V2", "text": "text"}


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below ``heading``, without its head."""
    section = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_route_is_documented_as_it_is() -> None:
    expected = [
        [
            route.method,
            route.path,
            "page" if route.by == "pages" else PROTOCOLS[route.shape],
            route.by,
            "–" if route.by != "model" else "any" if route.kinds == ANY else ", ".join(sorted(route.kinds)),
            route.summary,
        ]
        for route in ROUTES
    ]
    assert rows("Routes") == expected


def test_every_grpc_method_is_documented() -> None:
    assert {row[0]: row[1] for row in rows("gRPC")} == {
        route.rpc: route.by + (", vision only" if route.kinds == VISION else "") for route in RPC_ROUTES
    }


def test_every_setting_is_documented_with_its_default() -> None:
    documented = {row[0]: row[1] for row in rows("Settings")}
    assert set(documented) == {name.upper() for name in Settings.__slots__}
    for name, shown in documented.items():
        value = getattr(Settings(), name.lower())
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            assert float(shown) == value, name


def test_the_page_names_no_code_that_does_not_exist() -> None:
    mentioned = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", PAGE.read_text()))
    fields = {"max_model_len", "max_tokens", "text_input", "sampling_parameters", "error_message"}
    fields |= {"size_bytes", "signed_by"}
    names = {"count_tokens", "generate_stream", "triton_final_response"}
    assert mentioned - set(CODES) == fields | names
