"""The price list, as ``tenants.yaml`` says it and as the gateway reckons with it."""

from dataclasses import dataclass
from hashlib import sha256

_NAME = 80  # characters of a pool's name, which is in every sum of its calls


@dataclass(frozen=True, slots=True)
class Price:
    """Prices of some models in nano-dollars: of a million tokens of each kind, an inference, a million pixels.

    ``replica_hour`` is that of an hour of a replica, with all its accelerators; calls to any of the models share it.
    """

    models: tuple[str, ...]
    input: int = 0
    cached_input: int = 0
    output: int = 0
    inference: int = 0
    megapixel: int = 0
    replica_hour: int = 0

    @property
    def pool(self) -> str:
        """The name of the models that share the hours of their replicas; empty where hours have no price."""
        if not self.replica_hour:
            return ""
        name = ",".join(self.models)
        if len(name) <= _NAME:
            return name
        return f"{name[: _NAME - 9]}~{sha256(name.encode()).hexdigest()[:8]}"
