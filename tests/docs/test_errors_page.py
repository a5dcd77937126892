"""docs/reference/errors.md, the one table of codes and the code that sends them say the same."""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

from switchyard.http.api_errors import CODES, ApiError, Shape, as_object, error_response
from switchyard.rpc.status import RpcStatus, of_http
from tests.docs.pages import DOCS, ROOT

PAGE = DOCS / "reference/errors.md"
AFTER = "after `retry-after`"
# Modules that only describe codes, and the table itself.
DESCRIBING = {ROOT / "switchyard/gateway/openapi/errors.py"}
TABLE = ROOT / "switchyard/http/api_errors.py"


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below ``heading``, without its head; of those that are one word of code, the word."""
    section = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    return [[re.sub(r"^`([^`]+)`$", r"\1", cell) for cell in row] for row in cells]


def modules() -> Iterator[tuple[Any, ast.AST]]:
    for folder in ("switchyard", "predictors"):
        for path in (ROOT / folder).rglob("*.py"):
            yield path, ast.parse(path.read_text())


def kind(code: str, shape: Shape) -> str:
    error: Any = as_object(ApiError(code, "why"), shape)["error"]
    return str(error["type"])


def test_every_code_is_there_with_what_each_protocol_says() -> None:
    expected = [
        [code, str(status), kind(code, "openai"), kind(code, "anthropic"), of_http(status).name]
        for code, status in CODES.items()
    ]
    assert sorted(row[:5] for row in rows("Codes")) == sorted(expected)


def test_what_says_when_to_retry_is_to_be_retried_then() -> None:
    retry = {row[0]: row[5] for row in rows("Codes")}
    assert set(retry.values()) == {"no", "yes", AFTER}
    assert {code for code, said in retry.items() if said == AFTER} == {
        code for code, status in CODES.items() if status in (429, 503)
    }
    assert all(ApiError(code, "why").retry_after for code in CODES if CODES[code] == 503)


def test_every_code_of_the_table_is_sent_by_some_module_and_every_code_that_one_sends_is_in_the_table() -> None:
    found, raised = set(), set()
    for path, tree in modules():
        if path in DESCRIBING:
            continue
        keys = {id(key) for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys}
        for node in ast.walk(tree):
            # The table's own entries are keys of a dict; elsewhere keys are sent too.
            if isinstance(node, ast.Constant) and node.value in CODES and not (path == TABLE and id(node) in keys):
                found.add(node.value)
            if isinstance(node, ast.Call):
                names = [ast.unparse(one) for one in (node.func, *node.args[:1])]
                arguments = node.args[1:] if names[0] == "partial" else node.args
                if "ApiError" in names and arguments and isinstance(arguments[0], ast.Constant):
                    raised.add(arguments[0].value)
    assert found == set(CODES)
    assert raised - set(CODES) == set()
    assert len(raised) > 20


def test_the_servers_own_errors_have_the_code_of_their_status_or_the_page_names_the_status() -> None:
    texts = [path.read_text() for path in (ROOT / "switchyard/http").rglob("*.py")]
    statuses = {int(status) for text in texts for status in re.findall(r"BadRequestError\(\s*(\d{3})", text)}
    when = {row[0]: row[6] for row in rows("Codes")}
    assert {431, 501, 505} < statuses
    for status in statuses:
        code = json.loads(error_response(status, "why", b"/")[1])["error"]["code"]
        assert CODES[code] == status or f"({status})" in when[code], (status, code)


def test_every_grpc_status_is_there_with_the_statuses_that_http_has_for_it() -> None:
    of_codes = {of_http(status).name: set[int]() for status in CODES.values()}
    for status in CODES.values():
        of_codes[of_http(status).name].add(status)
    documented = {row[0]: {int(status) for status in row[1].split(", ")} for row in rows("gRPC statuses")}
    assert documented == of_codes


def test_what_only_grpc_calls_end_with_is_said() -> None:
    raised = {
        RpcStatus[node.args[0].attr].name
        for _, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "RpcError"
        and isinstance(node.args[0], ast.Attribute)
        and ast.unparse(node.args[0].value) == "RpcStatus"
    }
    assert {row[0] for row in rows("gRPC statuses") if row[2]} == raised
    assert len(raised) > 4


def test_no_other_page_says_in_a_table_which_status_a_code_has() -> None:
    for page in DOCS.rglob("*.md"):
        for line in page.read_text().splitlines():
            _, first, *others = line.split("|") if line.startswith("|") else ("", "")
            codes = set(re.findall(r"`(\w+)`", first)) & set(CODES)
            statuses = re.findall(r"\b[45]\d\d\b", " ".join(others))
            assert page == PAGE or not (codes and statuses), (page, line)
