"""What ``tenants.yaml`` may say; only ``reader`` and documentation import this: pydantic costs 20 MB and 0.1 s."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from switchyard.gateway.tenants.caching import HitsCount
from switchyard.gateway.tenants.keys import NAME
from switchyard.gateway.tenants.limits import SCALES, Per, Unit, WithoutStore, checked_zone, require_used_models
from switchyard.http.web_access import is_loopback

Name = Annotated[
    str,
    StringConstraints(pattern=rf"^{NAME}$"),
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
Role = Literal["use", "admin"]
# Signed by one, verified by all who have the public key. With a shared secret (HS256) every verifier could issue
# tokens, and whoever takes ``none`` takes anything (RFC 8725 §2.1).
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_Text = Annotated[str, StringConstraints(min_length=1, max_length=512)]
_Texts = Annotated[tuple[_Text, ...], Field(min_length=1, max_length=8)]
Claim = _Text | _Texts


def _jwks_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        return url
    raise ValueError(
        f"{url!r} is no https URL: whoever can change what it returns can issue tokens; http is for loopback"
    )


JwksUrl = Annotated[str, StringConstraints(max_length=512), AfterValidator(_jwks_url)]
Zone = Annotated[str, AfterValidator(checked_zone)]
_MOST = 2**53  # amounts below it are exact in every store, also one that counts in doubles


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Limit(_Strict):
    """At most so much at once, or per minute, day or month, of all calls that it is for together."""

    limit: Unit = Field(
        description="What is counted: `requests`, `in_flight` (requests at once), `tokens` (of input and output "
        "together), `input_tokens`, `output_tokens`, `inferences` or `megapixels` of vision models, `dollars` of "
        "`prices`."
    )
    most: Decimal = Field(
        gt=0,
        lt=_MOST,
        description="How many there may be: a whole number, of `dollars` to the nano-dollar and of `megapixels` to the "
        "pixel, as 0.5.",
    )
    per: Per | None = Field(
        None,
        description="`minute`: in any 60 seconds; `day`, `month`: of the calendar. None for `in_flight` alone.",
    )
    models: tuple[Pattern, ...] = Field(
        ("*",), min_length=1, description="For which models and graphs: they share it, as one number."
    )
    shadow: bool = Field(False, description="Whether it is only counted, and a log and metric say what it would deny.")
    without_store: WithoutStore = Field(
        "open",
        description="While the store cannot be reached: `open` lets calls through, `closed` rejects them (503), "
        "`local` gives each gateway an equal part of what was left.",
    )

    @model_validator(mode="after")
    def _of_a_time(self) -> "Limit":
        if (self.limit == "in_flight") == (self.per is not None):
            raise ValueError("in_flight has no per, and everything else has one: minute, day or month")
        if (counted := self.counted) % 1:
            places = len(str(SCALES.get(self.limit, 1))) - 1
            said = f"has at most {places} decimal places" if places else "is a whole number"
            raise ValueError(f"most of {self.limit} {said}, and not {self.most}")
        if counted >= _MOST:
            raise ValueError(f"at most {_MOST // SCALES.get(self.limit, 1)} {self.limit} can be counted")
        return self

    @property
    def counted(self) -> Decimal:
        """``most`` in what counters count: nano-dollars, pixels, else the unit itself."""
        scale = SCALES.get(self.limit)
        return self.most if scale is None else self.most * scale

    @property
    def counter(self) -> tuple[object, ...]:
        """What tells it from others of its owner."""
        return self.limit, self.per, tuple(sorted(self.models)), self.shadow


class Key(_Strict):
    """A key by its hash. To rotate it, add the new one and let the old one expire."""

    id: Name = Field(description="The key's name in logs; no other key of the file has it.")
    sha256: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="The key's SHA-256, as `switchyard key create` prints it."
    )
    roles: tuple[Role, ...] = Field(
        ("use",),
        min_length=1,
        description="`use` models; `admin`: load, unload, statistics, metrics, keys and bills of all; no `use`.",
    )
    expires: AwareDatetime | None = Field(
        None, description="When it ends to be valid, with a time zone; never, if absent."
    )
    revoked: bool = Field(False, description="Whether it is not valid any more; its id stays taken.")
    limits: tuple[Limit, ...] = Field((), max_length=10, description="Limits of the key, beside its tenant's.")


class Cache(_Strict):
    """How responses to a tenant's requests are kept, and given to equal requests."""

    seconds: int = Field(3600, ge=1, le=2_592_000, description="For how long a response is kept: at most 30 days.")
    models: tuple[Pattern, ...] = Field(("*",), min_length=1, description="For which models.")
    share: Name | None = Field(
        None,
        description="Tenants that have the same word here get each other's responses, and can find out by the time of "
        "one what others have asked; without it a tenant has its own alone.",
    )
    hits: HitsCount = Field(
        "requests",
        description="What a response from the cache counts for limits and on the bill: one of the `requests` and no "
        "tokens, the `tokens` of the response too, or `nothing`.",
    )
    megabytes: int = Field(
        64,
        ge=1,
        le=65_536,
        description="How much is kept, of responses and again as much of single embeddings; the oldest make room.",
    )


class Team(_Strict):
    """A part of a tenant, with keys of its own."""

    name: Name = Field(description="The team's name; no other team of the tenant has it.")
    models: tuple[Pattern, ...] = Field(
        ("*",), description="The models and graphs that it may use, of those that the tenant may."
    )
    keys: tuple[Key, ...] = Field((), description="Keys of the team.")
    limits: tuple[Limit, ...] = Field(
        (), max_length=10, description="Limits of the team's calls together, beside its tenant's."
    )


class Tenant(_Strict):
    """Whoever is told apart from others: a customer, a department."""

    name: Name = Field(description="The tenant's name; no other tenant has it.")
    models: tuple[Pattern, ...] = Field(
        ("*",),
        description="The models and graphs that it may use: names, or patterns with * and ?. To it no others exist.",
    )
    weight: int = Field(
        1,
        ge=1,
        le=100,
        description="Its share of a model that is full, relative to other tenants': one with 2 gets twice as much.",
    )
    service_tiers: tuple[Literal["flex", "default", "priority"], ...] = Field(
        ("flex", "default"),
        max_length=3,
        description="Which `service_tier` its requests may name, beside `default`, which all may: `flex` waits behind "
        "everybody's other requests, `priority` comes before them in the engine, also before other tenants'.",
    )
    keys: tuple[Key, ...] = Field((), description="Keys of the tenant that belong to no team.")
    teams: tuple[Team, ...] = Field((), description="Teams.")
    limits: tuple[Limit, ...] = Field((), max_length=10, description="Limits of the tenant's calls together.")
    timezone: Zone = Field("UTC", description="Where its days and months begin: an IANA name, as Europe/Berlin.")
    cache: Cache | None = Field(None, description="How its responses are cached; not at all, if absent.")

    def every_limit(self) -> Iterator[Limit]:
        """Yield the limits of the tenant, its teams and its keys."""
        yield from self.limits
        for team in self.teams:
            yield from team.limits
        for key in self.every_key():
            yield from key.limits

    def every_key(self) -> Iterator[Key]:
        """Yield the keys of the tenant and its teams."""
        yield from self.keys
        for team in self.teams:
            yield from team.keys

    @model_validator(mode="after")
    def _with_limits_of_its_models(self) -> "Tenant":
        require_used_models("", self.limits, self.models)
        for team in self.teams:
            require_used_models(f"team {team.name}, ", team.limits, self.models, team.models)
            for key in team.keys:
                require_used_models(f"key {key.id}, ", key.limits, self.models, team.models)
        for key in self.keys:
            require_used_models(f"key {key.id}, ", key.limits, self.models)
        return self


Dollars = Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=9)]
HourDollars = Annotated[Decimal, Field(ge=0, le=1000, decimal_places=9)]


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
    accelerator_hour: HourDollars = Field(
        Decimal(0), description="An hour of an accelerator while a replica exists; calls to these models share it."
    )
    accelerators: int = Field(1, ge=1, le=64, description="How many accelerators each replica has.")


class Issuer(_Strict):
    """Whose tokens (JWT) are taken beside keys."""

    name: Name = Field(description="Its name in logs, before a token's subject; no other issuer has it.")
    issuer: _Text = Field(description="The claim `iss` of its tokens, letter by letter; no other issuer has it.")
    audience: _Text | _Texts = Field(description="The claim `aud`: this gateway's name for the issuer, or several.")
    jwks_url: JwksUrl | None = Field(
        None, description="Where it publishes its keys (JWKS): https, or http on loopback. This or `jwks_file`."
    )
    jwks_file: _Text | None = Field(None, description="A file of its keys; if relative, from this file's folder.")
    refresh_seconds: float = Field(300.0, ge=10, le=86400, description="How often its keys are read again.")
    algorithms: tuple[Algorithm, ...] = Field(
        ("RS256", "ES256", "EdDSA"), min_length=1, description="How it may sign; no secrets are shared."
    )
    leeway_seconds: float = Field(30.0, ge=0, le=300, description="How far its clock and this one may be apart.")
    tenant_claim: Claim = Field(
        "tenant", description="The claim that names the tenant; a list is the path to one inside others."
    )
    tenants: dict[_Text, Name] = Field(
        {}, description="The tenant for each value of that claim; if empty, the value is the tenant's name."
    )
    team_claim: Claim | None = Field(None, description="The claim that names the team; a token without it has none.")
    roles_claim: Claim | None = Field(
        None, description="The claim with roles, a list or words apart by spaces; if none, every token has `use`."
    )
    roles: dict[_Text, tuple[Role, ...]] = Field(
        {}, description="The roles for each value of that claim; if empty, the values are roles' names."
    )

    @model_validator(mode="after")
    def _with_one_source(self) -> "Issuer":
        if (self.jwks_url is None) == (self.jwks_file is None):
            raise ValueError("say where its keys are: either jwks_url or jwks_file")
        if self.roles and self.roles_claim is None:
            raise ValueError("roles translates what roles_claim names, which is not there")
        return self


class TenantsFile(_Strict):
    """The whole of `tenants.yaml`."""

    tenants: tuple[Tenant, ...] = Field(description="Every tenant.")
    prices: tuple[ModelPrice, ...] = Field(
        (), max_length=1000, description="What calls cost. A model without a price costs nothing and is counted."
    )
    jwt: tuple[Issuer, ...] = Field((), max_length=32, description="Whose tokens are taken beside keys.")

    @model_validator(mode="after")
    def _with_prices_for_dollars(self) -> "TenantsFile":
        if not self.prices and any(one.limit == "dollars" for tenant in self.tenants for one in tenant.every_limit()):
            raise ValueError("there are limits of dollars and no prices, so nothing would count for them; add prices")
        return self
