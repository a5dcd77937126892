"""What calls cost, in whole nano-dollars: prices are for millions, so nothing is rounded before the sum of a call."""

from fnmatch import fnmatchcase

from switchyard.gateway.tenants.prices import Price
from switchyard.http.usage import Usage

_MILLION = 1_000_000
_FREE = Price(())


def cost(usage: Usage, price: Price) -> int:
    """Return what ``usage`` costs in nano-dollars; half of one is rounded up, once for the whole call."""
    millionths = (
        (usage.prompt_tokens - usage.cached_tokens) * price.input
        + usage.cached_tokens * price.cached_input
        + usage.completion_tokens * price.output
        + usage.inferences * price.inference * _MILLION
        + usage.pixels * price.megapixel
    )
    return (millionths + _MILLION // 2) // _MILLION


def price_of(model: str, prices: tuple[Price, ...]) -> Price:
    """Return the first price that names ``model``; without one it costs nothing."""
    return next((price for price in prices if any(fnmatchcase(model, one) for one in price.models)), _FREE)
