"""Which of several owners of one name serves it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from switchyard.catalog.models import Catalog, Kind, Model, State
from switchyard.repository.names import taken


@dataclass(frozen=True, slots=True)
class Claim:
    """A model that ``owner`` serves, which has existed ``since`` a time in RFC 3339, or from the beginning.

    ``owner`` is an object's kind and name, such as "InferenceService vision". A name that an object itself has is its
    ``own``; those of the models in a repository are what whoever fills the repository called them.
    """

    owner: str
    model: Model
    own: bool
    since: str = ""


def owner_of(name: str, kind: Kind) -> str:
    """Return the kind and the name of the object ``name`` that serves a model of ``kind``."""
    return f"{'InferenceGraph' if kind == 'graph' else 'InferenceService'} {name}"


def settle(claims: Iterable[Claim], on_clash: Callable[[str], None] = lambda reason: None) -> Catalog:
    """Return the catalog in which each name has one owner: an object's own name, else the older object's.

    A folder that nothing serves has a name only if nobody else has it. A name that is lost is listed as
    ``<owner>/<name>``, failed with the reason, which ``on_clash`` gets too.
    """
    asked = list(claims)
    winners: dict[str, Claim] = {}
    for claim in sorted(asked, key=lambda claim: (not claim.own, not claim.model.url, claim.since)):
        winners.setdefault(claim.model.name, claim)
    models: dict[str, Model] = {}
    for claim in asked:
        winner, model = winners[claim.model.name], claim.model
        if winner.owner != claim.owner:
            reason = taken(model.name, winner.owner)
            on_clash(reason)
            owner = claim.owner.rpartition(" ")[2]
            name = owner if owner.endswith(f"/{model.name}") else f"{owner}/{model.name}"
            model = replace(model, name=name, state=State(phase="failed", reason=reason))
        models[model.name] = model
    return Catalog(models)
