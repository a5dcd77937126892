"""Query parameters as OpenAI's clients write them; each is bounded."""

from urllib.parse import parse_qsl

from switchyard.http.api_errors import ApiError

LATEST = 2**40  # seconds since 1970, later than any time that is asked for
_VALUES = 100  # of one filter


def parameters(text: bytes) -> dict[str, list[str]]:
    """Return the values of each parameter; clients write lists as ``a=1&a=2`` or ``a[]=1&a[]=2``."""
    given: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(text.decode("latin-1"), keep_blank_values=True, max_num_fields=1000)
    except ValueError:
        raise ApiError("invalid_value", "the query string has more than 1000 parameters") from None
    for name, value in pairs:
        values = given.setdefault(name.removesuffix("[]"), [])
        values.append(value)
        if len(values) > _VALUES:
            raise ApiError("invalid_value", f"{name[:80]} is there more than {_VALUES} times", param=name[:80])
    return given


def number(given: dict[str, list[str]], name: str, default: int, least: int, most: int) -> int:
    """Take a whole number out of ``given``.

    Raises:
        ApiError: it is none from ``least`` to ``most``.
    """
    text = given.pop(name, [str(default)])[-1]
    # ``isdecimal`` takes digits of other scripts too, as ``int`` does; ``isdigit`` also those that it does not: ².
    value = int(text) if text.isdecimal() and len(text) <= 15 else -1
    if not least <= value <= most:
        raise ApiError(
            "invalid_value", f"{name} is {text[:80]!r}; use a whole number from {least} to {most}", param=name
        )
    return value


def require_none(given: dict[str, list[str]]) -> None:
    """Check that nothing is left of the parameters.

    Raises:
        ApiError: one is unknown.
    """
    if given:
        name = next(iter(given))
        raise ApiError("invalid_value", f"there is no parameter {name[:80]!r} here", param=name[:80])
