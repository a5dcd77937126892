"""The price list, as ``tenants.yaml`` says it and as the gateway reckons with it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Price:
    """Prices of some models in nano-dollars: of a million tokens of each kind, an inference, a million pixels."""

    models: tuple[str, ...]
    input: int = 0
    cached_input: int = 0
    output: int = 0
    inference: int = 0
    megapixel: int = 0
