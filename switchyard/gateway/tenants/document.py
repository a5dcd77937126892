"""What ``tenants.yaml`` may say; only ``reader`` and documentation import this: pydantic costs 20 MB and 0.1 s."""

import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

Name = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"),
    Field(
        description="Lower case letters, digits and hyphens, at most 63: a name goes into headers, logs and metrics."
    ),
]
_PATTERN = re.compile(r"[A-Za-z0-9._/*?-]{1,253}")


def _pattern(text: str) -> str:
    if not _PATTERN.fullmatch(text):
        raise ValueError(
            f"{text!r} is no pattern of names; use the name of a model or graph, with * and ? for parts of it"
        )
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]
Role = Literal["use", "adapters", "admin"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Key(_Strict):
    """A key by its hash. To rotate it, add the new one and let the old one expire."""

    id: Name = Field(description="The key's name in logs; no other key of the file has it.")
    sha256: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="The key's SHA-256, as `switchyard key create` prints it."
    )
    roles: tuple[Role, ...] = Field(
        ("use",),
        min_length=1,
        description="`use` models; `admin`: load, unload, statistics of all, metrics; `adapters` is reserved.",
    )
    expires: AwareDatetime | None = Field(
        None, description="When it ends to be valid, with a time zone; never, if absent."
    )
    revoked: bool = Field(False, description="Whether it is not valid any more; its id stays taken.")


class Team(_Strict):
    """A part of a tenant, with keys of its own."""

    name: Name = Field(description="The team's name; no other team of the tenant has it.")
    models: tuple[Pattern, ...] = Field(
        ("*",),
        description="The models and graphs that it may use, of those that the tenant may.",
    )
    keys: tuple[Key, ...] = Field((), description="Keys of the team.")


class Tenant(_Strict):
    """Whoever is told apart from others: a customer, a department."""

    name: Name = Field(description="The tenant's name; no other tenant has it.")
    models: tuple[Pattern, ...] = Field(
        ("*",),
        description="The models and graphs that it may use: names, or patterns with * and ?. To it no others exist.",
    )
    keys: tuple[Key, ...] = Field((), description="Keys of the tenant that belong to no team.")
    teams: tuple[Team, ...] = Field((), description="Teams.")

    def every_key(self) -> Iterator[Key]:
        """Yield the keys of the tenant and its teams."""
        yield from self.keys
        for team in self.teams:
            yield from team.keys


Dollars = Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=9)]


class ModelPrice(_Strict):
    """What calls of some models cost, in US dollars, to the nano-dollar; what has no price here is free."""

    models: tuple[Pattern, ...] = Field(
        min_length=1, description="For which models and graphs; of several prices of a model the first counts."
    )
    input: Dollars = Field(Decimal(0), description="A million tokens of input that are in no cache.")
    cached_input: Dollars | None = Field(
        None, description="A million tokens of input that the engine had in its KV cache; as `input`, if absent."
    )
    output: Dollars = Field(Decimal(0), description="A million tokens of output, of reasoning too.")
    inference: Dollars = Field(Decimal(0), description="An inference of a vision model: one of a batch, or one image.")
    megapixel: Dollars = Field(Decimal(0), description="A million pixels of the images that were sent.")


class TenantsFile(_Strict):
    """The whole of `tenants.yaml`."""

    tenants: tuple[Tenant, ...] = Field(description="Every tenant.")
    prices: tuple[ModelPrice, ...] = Field(
        (), max_length=1000, description="What calls cost. A model without a price costs nothing and is counted."
    )

    @model_validator(mode="after")
    def _without_clashes(self) -> "TenantsFile":
        keys = [key for tenant in self.tenants for key in tenant.every_key()]
        _require_different("tenant", [tenant.name for tenant in self.tenants])
        _require_different("team", [f"{tenant.name}/{team.name}" for tenant in self.tenants for team in tenant.teams])
        _require_different("key id", [key.id for key in keys])
        _require_different("sha256", [key.sha256 for key in keys])
        return self


def _require_different(kind: str, names: list[str]) -> None:
    if len(set(names)) != len(names):
        (name, count), *_ = Counter(names).most_common(1)
        raise ValueError(f"{kind} {name} is there {count} times; each may be there once")
