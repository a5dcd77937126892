"""The page of the interface: readable with a browser that reaches nothing else and runs no script."""

import copy
import shlex
from html.parser import HTMLParser

from switchyard.gateway.openapi.page import CONTENT_SECURITY_POLICY, page
from switchyard.gateway.routes.table import ROUTES
from tests.switchyard.gateway.openapi.documents import DOCUMENT

VOID = {"meta", "br"}
OPTIONAL_END = {"html", "p", "tr", "td", "th"}


class Reader(HTMLParser):
    """Collects elements, ids, links and text; asserts that elements end in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.text = ""
        self.commands: list[list[str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.text += " "
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name == "href":
                self.links.append(value or "")
            elif name in ("src", "srcset", "style", "action") or name.startswith("on"):
                self.loaded.append(f"{tag} {name}={value}")
        if tag not in VOID | OPTIONAL_END:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in OPTIONAL_END:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if data.startswith("curl "):
            self.commands.append(shlex.split(data))


READER = Reader(page(DOCUMENT))


def test_every_route_is_on_the_page_with_a_command_that_asks_it() -> None:
    assert len(READER.commands) == len(ROUTES)
    for route in ROUTES:
        assert route.path in READER.text
        assert route.summary in READER.text


def test_nothing_is_loaded_and_nothing_runs() -> None:
    assert READER.loaded == []
    assert not {"script", "link", "img", "iframe", "object", "form"} & set(READER.tags)
    assert "url(" not in page(DOCUMENT)
    assert "@import" not in page(DOCUMENT)
    assert CONTENT_SECURITY_POLICY.startswith(b"default-src 'none'")


def test_links_stay_on_the_page_and_lead_somewhere() -> None:
    assert len(set(READER.ids)) == len(READER.ids)
    assert {link.removeprefix("#") for link in READER.links} - set(READER.ids) == {"openapi.json"}


def test_fields_are_shown_with_types_and_limits() -> None:
    text = " ".join(READER.text.split())

    assert "top_k integer, default 5, minimum 1, maximum 1000 How many labels are wanted." in text
    assert "box array of array of number, required Four corners" in text


def test_text_of_a_schema_cannot_become_markup() -> None:
    document = copy.deepcopy(DOCUMENT)
    document["components"]["schemas"]["Model"]["properties"]["<b>"] = {"description": "<script>alert(1)</script>"}

    assert "script" not in Reader(page(document)).tags
