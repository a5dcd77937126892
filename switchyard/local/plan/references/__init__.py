"""Whether every name that a rendered document gives of another object leads to one.

Kustomize renames what it knows; a name in a field of a custom kind, in a URL or in a setting stays as it was, and the
overlay builds. A cluster would say so by a pod that does not start, or by the first request.
"""

from collections.abc import Iterable, Sequence

from switchyard.local.errors import LocalError
from switchyard.local.plan.references import fields, selectors, urls
from switchyard.local.plan.references.objects import Dangling, Document, Objects

__all__ = ["Dangling", "DanglingReferenceError", "dangling", "dangling_urls", "require_none"]


class DanglingReferenceError(LocalError):
    """Documents of the overlay name objects that it does not have; a sentence for each, then what to do."""


def dangling(documents: Sequence[Document]) -> list[Dangling]:
    """Return every reference in ``documents`` that leads nowhere."""
    objects = Objects(documents)
    by_name = (*fields.dangling(objects), *urls.dangling_claims(objects))
    return list(dict.fromkeys((*by_name, *selectors.dangling(objects), *urls.dangling(objects))))


def dangling_urls(documents: Sequence[Document]) -> list[Dangling]:
    """Return those of services and models in URLs, args and settings; the others a plan follows itself."""
    return list(dict.fromkeys(urls.dangling(Objects(documents))))


def require_none(found: Iterable[Dangling]) -> None:
    """Raise an error if a reference leads nowhere.

    Raises:
        DanglingReferenceError: one does.
    """
    problems = list(found)
    if problems:
        advice = dict.fromkeys(problem.advice for problem in problems if problem.advice)
        raise DanglingReferenceError("\n".join((*(problem.text for problem in problems), *advice)))
