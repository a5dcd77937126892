"""Which requests of web pages a port serves, by its address, its names and its origins."""

import pytest

from switchyard.http.request_errors import BadRequestError
from switchyard.http.web_access import WebAccess, loopback_access

LOOPBACK = "127.0.0.1"
PAGE = b"https://console.example"


def status(access: WebAccess, method: bytes = b"POST", **headers: bytes) -> int:
    """200, or the status of a rejection."""
    named = {"host": b"localhost", **headers}
    try:
        access.check(method, {name.replace("_", "-").encode(): value for name, value in named.items()})
    except BadRequestError as err:
        return err.status
    return 200


@pytest.mark.parametrize(
    ("host", "names", "asked", "expected"),
    [
        (LOOPBACK, (), b"localhost:8000", 200),
        (LOOPBACK, (), b"LOCALHOST.", 200),
        (LOOPBACK, (), b"app.localhost", 200),
        (LOOPBACK, (), b"127.0.0.1:8000", 200),
        (LOOPBACK, (), b"[::1]:8000", 200),
        (LOOPBACK, (), b"0.0.0.0:8000", 200),
        (LOOPBACK, (), b"", 200),  # HTTP/1.0, which no browser speaks
        (LOOPBACK, (), b"a.example", 421),
        (LOOPBACK, (), b"localhost.a.example", 421),
        (LOOPBACK, (), b"alocalhost", 421),
        (LOOPBACK, (), b"127.0.0.1.a.example", 421),
        ("::1", (), b"a.example", 421),
        ("localhost", (), b"a.example", 421),
        (LOOPBACK, ("a.example",), b"A.example:8000", 200),
        (LOOPBACK, ("a.example",), b"b.a.example", 421),
        (LOOPBACK, ("*.a.example",), b"b.a.example", 200),
        (LOOPBACK, ("*.a.example",), b"a.example", 421),
        (LOOPBACK, ("*.a.example",), b"ba.example", 421),
        ("0.0.0.0", (), b"a.example", 200),
        ("", (), b"a.example", 200),
        ("0.0.0.0", ("a.example",), b"b.example", 421),
        ("0.0.0.0", ("a.example",), b"10.0.0.7:8000", 200),  # a probe
    ],
)
def test_a_port_serves_its_own_names(host: str, names: tuple[str, ...], asked: bytes, expected: int) -> None:
    assert status(WebAccess(host, names), host=asked) == expected


@pytest.mark.parametrize("host", [LOOPBACK, "0.0.0.0"])
@pytest.mark.parametrize(
    ("method", "origin", "site", "expected"),
    [
        (b"POST", None, None, 200),  # no browser
        (b"POST", PAGE, None, 403),
        (b"POST", b"null", None, 403),
        (b"POST", b"http://localhost", None, 200),
        (b"POST", b"https://localhost", None, 200),  # TLS may end before this port
        (b"POST", b"http://localhost:1", None, 403),
        (b"POST", PAGE, b"same-origin", 200),  # a proxy may have changed the host
        (b"POST", None, b"none", 200),
        (b"POST", PAGE, b"cross-site", 403),
        (b"POST", b"http://localhost", b"same-site", 403),
        (b"DELETE", PAGE, b"cross-site", 403),
        (b"GET", PAGE, None, 200),  # it may not read the response, and there is nothing to change by a GET
        (b"GET", PAGE, b"cross-site", 403),
        (b"GET", None, b"cross-site", 403),
        (b"OPTIONS", PAGE, b"cross-site", 200),  # a preflight, whose response allows nothing
    ],
)
def test_a_port_serves_no_page_of_another_site(
    host: str, method: bytes, origin: bytes | None, site: bytes | None, expected: int
) -> None:
    given = {"origin": origin, "sec_fetch_site": site}
    headers = {name: value for name, value in given.items() if value is not None}
    assert status(WebAccess(host), method, **headers) == expected


@pytest.mark.parametrize(
    ("method", "mode", "dest", "expected"),
    [
        (b"GET", b"navigate", b"document", 200),
        (b"GET", b"navigate", b"iframe", 403),
        (b"GET", b"no-cors", b"image", 403),
        (b"POST", b"navigate", b"document", 403),  # a form
    ],
)
def test_following_a_link_is_no_request_of_the_page(method: bytes, mode: bytes, dest: bytes, expected: int) -> None:
    headers = {"sec_fetch_site": b"cross-site", "sec_fetch_mode": mode, "sec_fetch_dest": dest}
    assert status(WebAccess(LOOPBACK), method, **headers) == expected


@pytest.mark.parametrize("site", [b"cross-site", None])
@pytest.mark.parametrize(
    ("allowed", "expected"), [((PAGE.decode(),), 200), (("*",), 200), (("https://other.example",), 403)]
)
def test_an_origin_that_cors_allows_may_send_requests(
    allowed: tuple[str, ...], expected: int, site: bytes | None
) -> None:
    headers = {"origin": PAGE} | ({"sec_fetch_site": site} if site else {})
    assert status(WebAccess(LOOPBACK, origins=allowed), **headers) == expected
    assert status(WebAccess(LOOPBACK, origins=allowed), host=b"a.example", **headers) == 421


def test_without_settings_a_port_checks_on_loopback_only() -> None:
    access = loopback_access(LOOPBACK)
    assert access is not None
    assert status(access, origin=PAGE) == 403
    assert loopback_access("0.0.0.0") is None
    assert loopback_access("") is None
