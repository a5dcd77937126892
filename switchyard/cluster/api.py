"""The API server's list and watch calls, by the official client. This module alone imports it, when first asked to.

Importing it costs 0.4 s of CPU and 23 MB, which local mode and the router do not pay.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from kubernetes.client import Configuration

Document = Mapping[str, Any]
Kind = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 30.0


class ApiError(Exception):
    """The API server did not answer as asked; the message says what it said. Worth trying again."""


class Gone(ApiError):
    """The version to watch from is too old: list again."""


class Absent(ApiError):
    """The cluster has no such resource."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object, as the API server's paths name it."""

    group: str
    version: str
    plural: str

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}"


@dataclass(frozen=True, slots=True)
class Listing:
    """All objects of a resource, and the version from which to watch for changes."""

    items: list[Document]
    version: str


@dataclass(frozen=True, slots=True)
class Event:
    """A change; of a bookmark only the object's version counts."""

    kind: Kind
    object: Document


class Api(Protocol):
    """What a mirror needs of an API server; calls block, so threads of their own make them."""

    def list(self, resource: Resource) -> Listing:
        """All objects now.

        Raises:
            ApiError: there is no answer; ``Absent`` if the resource does not exist.
        """

    def watch(self, resource: Resource, version: str) -> Iterator[Event]:
        """Changes after ``version``, until the server ends the stream, as it does after a while.

        Raises:
            ApiError: the stream broke; ``Gone`` if the version is too old.
        """


class KubernetesApi:
    """The API server that ``configuration`` names, asked for objects of one namespace.

    ``watch_seconds`` is when the server is to end a stream; one that is silent for longer than that counts as broken,
    so that a connection that died unseen is noticed.
    """

    def __init__(self, configuration: "Configuration", namespace: str, *, watch_seconds: int = 120) -> None:
        from kubernetes import client, watch

        self._objects = client.CustomObjectsApi(client.ApiClient(configuration))
        self._watch = watch.Watch
        self._failed = client.ApiException
        self._namespace = namespace
        self._seconds = watch_seconds

    def list(self, resource: Resource) -> Listing:
        from urllib3.exceptions import HTTPError

        try:
            answer = self._objects.list_namespaced_custom_object(
                *self._of(resource), _request_timeout=(_CONNECT_SECONDS, _ANSWER_SECONDS)
            )
            return Listing(answer["items"], answer["metadata"]["resourceVersion"])
        except self._failed as err:
            raise _refused(err, resource) from err
        except (HTTPError, OSError, ValueError, KeyError, TypeError) as err:
            raise ApiError(f"list of {resource}: {_words(err)}") from err

    def watch(self, resource: Resource, version: str) -> Iterator[Event]:
        from urllib3.exceptions import HTTPError

        stream = self._watch().stream(
            self._objects.list_namespaced_custom_object,
            *self._of(resource),
            resource_version=version,
            allow_watch_bookmarks=True,
            timeout_seconds=self._seconds,
            _request_timeout=(_CONNECT_SECONDS, self._seconds + _CONNECT_SECONDS),
        )
        try:
            for event in stream:
                if event is None:
                    raise ApiError(f"watch of {resource}: a line is no JSON")
                yield Event(event["type"], event["raw_object"])
        except self._failed as err:
            raise _refused(err, resource) from err
        except (HTTPError, OSError, ValueError, KeyError, TypeError, AttributeError) as err:
            raise ApiError(f"watch of {resource}: {_words(err)}") from err

    def _of(self, resource: Resource) -> tuple[str, str, str, str]:
        return resource.group, resource.version, self._namespace, resource.plural


def of_this_pod() -> KubernetesApi:
    """The API server of the cluster that this pod runs in, and the pod's own namespace.

    Raises:
        ApiError: the pod has no token of its service account.
    """
    from kubernetes import client, config

    configuration = client.Configuration()
    try:
        config.load_incluster_config(configuration)
        namespace = (SERVICE_ACCOUNT / "namespace").read_text().strip()
    except (config.ConfigException, OSError) as err:
        raise ApiError(
            f"this pod cannot ask the API server ({_words(err)}): set automountServiceAccountToken: true for it"
        ) from err
    configuration.retries = False  # the mirrors try again themselves, slower each time
    return KubernetesApi(configuration, namespace)


def _refused(err: Any, resource: Resource) -> ApiError:
    text = f"{resource}: the API server says {err.status} {err.reason}"
    if err.status == 410:
        return Gone(text)
    if err.status == 404:
        return Absent(text)
    if err.status == 403:
        return ApiError(f"{text}: allow this service account to get, list and watch {resource}")
    return ApiError(text)


def _words(err: Exception) -> str:
    return f"{type(err).__name__} {err}".strip()
