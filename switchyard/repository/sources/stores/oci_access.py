"""Whom credentials of a registry are told: that registry once it asks, and the host that makes its tokens."""

import os
from typing import Any
from urllib.parse import urlsplit

from oras.auth.token import TokenAuth
from oras.auth.utils import parse_auth_header

from switchyard.repository.sources.remote import SourceError
from switchyard.repository.sources.stores.reach import astray

# Public registries whose tokens another host makes.
_TOKEN_HOSTS = {"registry-1.docker.io": "auth.docker.io", "registry.gitlab.com": "gitlab.com"}


class RegistryAuth(TokenAuth):  # type: ignore[misc]
    """Responds to the challenge of the registry at ``host``, and to no other's."""

    def __init__(self, host: str, session: Any, prefix: str) -> None:
        super().__init__()
        self._host = host
        self.session = session
        self.prefix = prefix
        self._tls_verify = True

    def use_environment(self) -> bool:
        """Take OCI_USERNAME and OCI_PASSWORD if OCI_REGISTRY says that they are for this registry; return whether.

        Raises:
            SourceError: OCI_REGISTRY is not set.
        """
        user, password, owner = (os.environ.get(f"OCI_{name}") for name in ("USERNAME", "PASSWORD", "REGISTRY"))
        if not user or not password:
            return False
        if not owner:
            raise SourceError(
                "OCI_USERNAME and OCI_PASSWORD do not say which registry they are for: set OCI_REGISTRY to its "
                f"host, such as {self._host}"
            )
        if owner != self._host:
            return False
        self.set_basic_auth(user, password)
        return True

    def authenticate_request(
        self, original: Any, headers: dict[str, str] | None, refresh: bool = False
    ) -> tuple[dict[str, str], bool]:
        """Return the headers for the same request once more, and whether there is anything to tell.

        Raises:
            SourceError: the registry wants credentials, or a request, to go where they must not.
        """
        headers = headers or {}
        original.close()  # of a response that is not read the library keeps the connection
        challenge = original.headers.get("www-authenticate", "")
        if urlsplit(original.url).netloc != self._host:
            return headers, False  # where a redirect of the registry led
        basic = getattr(self, "_basic_auth", None)
        if challenge.lower().startswith("basic"):
            return ({**headers, "Authorization": f"Basic {basic}"}, True) if basic else (headers, False)
        realm = parse_auth_header(challenge).realm
        if not realm:
            return headers, False
        self._check(realm, has_credentials=basic is not None)
        told, changed = super().authenticate_request(original, headers, refresh)
        return told, changed

    def _check(self, realm: str, *, has_credentials: bool) -> None:
        if reason := astray(realm, f"{self.prefix}://{self._host}"):
            raise SourceError(f"{self._host} lets its tokens be made where no request is sent: its realm {reason}")
        maker, registry = urlsplit(realm).hostname, urlsplit(f"//{self._host}").hostname or ""
        allowed = (registry, _TOKEN_HOSTS.get(registry), *os.environ.get("OCI_TOKEN_HOSTS", "").split(","))
        if has_credentials and maker not in allowed:
            raise SourceError(
                f"{self._host} wants its credentials told to {maker}: name that host in OCI_TOKEN_HOSTS if it may "
                "have them"
            )
