"""The gateway's settings; only this module reads the environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from switchyard.http.client.origin import split_url
from switchyard.http.tls import TlsFiles
from switchyard.http.web_access import checked_name, is_loopback
from switchyard.settings import SettingsError, log_level, renamed, seconds, switch, whole_number

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_PERCENTS = 10  # of each budget: an alert and a value of a metric's label for each
_SHA256 = re.compile(r"[0-9a-f]{64}")
_METRICS_KEYS = 8  # each is compared at a scrape; two are enough to replace one
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]+)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Settings, read from environment variables of the same names in capitals.

    Sizes are bytes, times seconds. ``switchyard_store`` is the URL of the store in which limits and usage are counted,
    the same for all gateways. ``max_in_flight`` requests are in flight at once, further ones are rejected.
    ``max_message_bytes`` is for one message of a WebSocket.
    With ``log_requests`` each response has a line in the log, never with what was asked or said.
    ``retry_*`` limit retries before the first byte of a response. ``default_model`` serves forms that name none. With a
    store, a response is kept ``idempotency_seconds`` for the key of its request, a stream ``resume_seconds``, and work
    goes on without its client for ``continue_seconds`` at most; the keys in ``recordings_keys_file`` encrypt what is
    kept. After the signal, requests are accepted for ``drain_seconds`` more and then have ``grace_seconds`` to finish.
    Web pages of ``cors_allow_origins`` (separated by commas, ``*`` for all) may send requests and read responses.
    ``allowed_hosts`` (likewise, ``*.`` before the end of names) are the names in URLs of this gateway: all, or on
    loopback its own.
    Without ``switchyard_tenants``, responses are cached for ``cache_seconds``, 0 for not at all, and
    ``cache_megabytes`` of them kept; tenants say it themselves.
    ``switchyard_tenant_namespaces`` are tenants with the namespaces of a cluster that hold instances of their own.
    ``switchyard_listen`` is an address or name to listen on beside the command line's host.
    ``budget_alerts`` are percents of budgets at which an alert tells of them, also to ``budget_webhook_url``, signed
    with the secret in a file. ``usage_days`` is for how many days usage is kept, 0 for ever, ``audit_days`` the
    same of what administrators did. With ``trust_traceparent`` a client's ``traceparent`` says whether its request is
    traced; without, the sampler alone. ``metrics_key_sha256`` are the SHA-256 (in hex, separated by commas) of keys
    that read the metrics and nothing else, where ``switchyard_tenants`` are asked for theirs.
    ``switchyard_files`` is where files of batches lie, an absolute path or ``s3://bucket/prefix``, each of at most
    ``file_bytes``, and of one tenant ``tenant_file_bytes`` together.
    With ``tls_*`` the ports are encrypted; with an authority of clients, each of them needs a certificate.
    """

    log_level: str = "info"
    trust_traceparent: bool = False  # a stranger could have all of its requests recorded
    log_requests: bool = False  # a line costs 37 to 50 µs; the overlay of local mode sets it
    switchyard_catalog: Path | None = None
    switchyard_tenants: Path | None = None
    switchyard_store: str = ""
    switchyard_files: str = ""
    file_bytes: int = 200 * 1024 * 1024  # OpenAI's most for a batch
    tenant_file_bytes: int = 10 * 1024**3
    metrics_key_sha256: tuple[bytes, ...] = ()
    switchyard_tenant_namespaces: tuple[tuple[str, str], ...] = ()
    switchyard_allow_open: bool = False
    switchyard_listen: str = ""
    usage_days: int = 0
    audit_days: int = 365
    cache_seconds: int = 0
    cache_megabytes: int = 64
    budget_alerts: tuple[int, ...] = (50, 80, 100)
    budget_webhook_url: str = ""
    budget_webhook_secret_file: Path | None = None
    default_model: str = ""
    max_body_bytes: int = 32 * 1024 * 1024
    max_message_bytes: int = 1024 * 1024
    max_in_flight: int = 2048
    body_seconds: float = 60.0
    connect_seconds: float = 5.0
    # Longer than any service's ``timeout``, 600 s at most: whoever holds the request gives up first, and can say why.
    first_byte_seconds: float = 900.0
    idle_seconds: float = 300.0
    idempotency_seconds: float = 86400.0  # a day, as clients and their queues repeat what failed overnight
    resume_seconds: float = 300.0
    continue_seconds: float = 600.0  # as long as the longest service's timeout: what takes longer is cut anyway
    recordings_keys_file: Path | None = None
    heartbeat_seconds: float = 1.0
    retry_attempts: int = 4
    retry_seconds: float = 3.0
    # These two are for one machine. In a cluster ``components/cluster`` sets them: nodes need seconds to learn of a
    # drain, and a rollout must not cut the longest response.
    grace_seconds: float = 30.0
    drain_seconds: float = 0.0
    cors_allow_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    tls_client_ca_file: Path | None = None

    @property
    def tls(self) -> TlsFiles | None:
        """The files by which the ports are encrypted; None for ports that are not."""
        if self.tls_cert_file is None or self.tls_key_file is None:
            return None
        return TlsFiles(self.tls_cert_file, self.tls_key_file, self.tls_client_ca_file)

    @staticmethod
    def from_env(env: Mapping[str, str]) -> "Settings":
        """Read the settings from ``env``, with defaults for the rest.

        Raises:
            SettingsError: a value is not valid.
        """
        unset, webhook = Settings(), _webhook(env)
        return Settings(
            log_level=log_level(env, unset.log_level),
            log_requests=switch(env, "LOG_REQUESTS", unset.log_requests),
            trust_traceparent=switch(env, "TRUST_TRACEPARENT", unset.trust_traceparent),
            switchyard_catalog=_path(env, "SWITCHYARD_CATALOG"),
            switchyard_tenants=_path(env, "SWITCHYARD_TENANTS"),
            switchyard_store=env.get("SWITCHYARD_STORE", ""),
            switchyard_files=env.get("SWITCHYARD_FILES", ""),
            file_bytes=whole_number(env, "FILE_BYTES", unset.file_bytes, least=1),
            tenant_file_bytes=whole_number(env, "TENANT_FILE_BYTES", unset.tenant_file_bytes, least=1),
            metrics_key_sha256=_digests(env.get("METRICS_KEY_SHA256", "")),
            switchyard_tenant_namespaces=_namespaces(env.get("SWITCHYARD_TENANT_NAMESPACES", "")),
            switchyard_allow_open=switch(env, "SWITCHYARD_ALLOW_OPEN"),
            switchyard_listen=env.get("SWITCHYARD_LISTEN", ""),
            usage_days=whole_number(env, "USAGE_DAYS", unset.usage_days),
            audit_days=whole_number(env, "AUDIT_DAYS", unset.audit_days),
            cache_seconds=whole_number(env, "CACHE_SECONDS", unset.cache_seconds),
            cache_megabytes=whole_number(env, "CACHE_MEGABYTES", unset.cache_megabytes, least=1),
            budget_alerts=_percents(env.get("BUDGET_ALERTS"), unset.budget_alerts),
            budget_webhook_url=webhook[0],
            budget_webhook_secret_file=webhook[1],
            default_model=env.get("DEFAULT_MODEL", ""),
            max_body_bytes=whole_number(env, "MAX_BODY_BYTES", unset.max_body_bytes, least=1),
            max_message_bytes=whole_number(env, "MAX_MESSAGE_BYTES", unset.max_message_bytes, least=1),
            max_in_flight=whole_number(env, "MAX_IN_FLIGHT", unset.max_in_flight, least=1),
            body_seconds=seconds(env, "BODY_SECONDS", unset.body_seconds),
            connect_seconds=seconds(env, "CONNECT_SECONDS", unset.connect_seconds),
            first_byte_seconds=seconds(env, "FIRST_BYTE_SECONDS", unset.first_byte_seconds),
            idle_seconds=seconds(env, "IDLE_SECONDS", unset.idle_seconds),
            idempotency_seconds=seconds(env, "IDEMPOTENCY_SECONDS", unset.idempotency_seconds),
            resume_seconds=seconds(env, "RESUME_SECONDS", unset.resume_seconds),
            continue_seconds=seconds(env, "CONTINUE_SECONDS", unset.continue_seconds, least=0),
            recordings_keys_file=_path(env, "RECORDINGS_KEYS_FILE"),
            heartbeat_seconds=seconds(env, "HEARTBEAT_SECONDS", unset.heartbeat_seconds),
            retry_attempts=whole_number(env, "RETRY_ATTEMPTS", unset.retry_attempts, least=1),
            retry_seconds=seconds(env, "RETRY_SECONDS", unset.retry_seconds),
            grace_seconds=seconds(env, "GRACE_SECONDS", unset.grace_seconds, least=0),
            drain_seconds=_drain_seconds(env, unset.drain_seconds),
            cors_allow_origins=_origins(env.get("CORS_ALLOW_ORIGINS", "")),
            allowed_hosts=_hosts(env.get("ALLOWED_HOSTS", "")),
            **_tls_files(env),
        )


def _drain_seconds(env: Mapping[str, str], default: float) -> float:
    return seconds(env, renamed(env, "LAME_DUCK_SECONDS", "DRAIN_SECONDS"), default, least=0)


def _namespaces(text: str) -> tuple[tuple[str, str], ...]:
    found = {}
    for pair in _listed(text):
        tenant, _, namespace = pair.partition("=")
        if not (_NAME.fullmatch(tenant) and _NAME.fullmatch(namespace)) or tenant in found:
            raise SettingsError(
                f"SWITCHYARD_TENANT_NAMESPACES names {pair!r}; use tenant=namespace, separated by commas, each once"
            )
        found[tenant] = namespace
    return tuple(found.items())


class _Tls(TypedDict):
    tls_cert_file: Path | None
    tls_key_file: Path | None
    tls_client_ca_file: Path | None


def _tls_files(env: Mapping[str, str]) -> _Tls:
    certificate, key, client_ca = (_path(env, f"TLS_{name}_FILE") for name in ("CERT", "KEY", "CLIENT_CA"))
    if (certificate is None) != (key is None) or (client_ca and not key):
        raise SettingsError("TLS needs both TLS_CERT_FILE and TLS_KEY_FILE; TLS_CLIENT_CA_FILE is of use beside them")
    return _Tls(tls_cert_file=certificate, tls_key_file=key, tls_client_ca_file=client_ca)


def _percents(text: str | None, default: tuple[int, ...]) -> tuple[int, ...]:
    if text is None:
        return default
    listed = _listed(text)
    if len(listed) > _PERCENTS or not all(one.isdecimal() and 1 <= int(one) <= 100 for one in listed):
        raise SettingsError(
            f"BUDGET_ALERTS is {text!r}; use up to {_PERCENTS} whole numbers from 1 to 100, as 50,80,100"
        )
    return tuple(sorted(set(map(int, listed))))


def _webhook(env: Mapping[str, str]) -> tuple[str, Path | None]:
    url, secret = env.get("BUDGET_WEBHOOK_URL", ""), _path(env, "BUDGET_WEBHOOK_SECRET_FILE")
    if not url and secret is None:
        return "", None
    if not url or secret is None:
        raise SettingsError("a webhook needs both BUDGET_WEBHOOK_URL and BUDGET_WEBHOOK_SECRET_FILE")
    try:
        split_url(url)
    except ValueError as err:
        raise SettingsError(f"BUDGET_WEBHOOK_URL: {err}") from err
    return url, secret


def _digests(text: str) -> tuple[bytes, ...]:
    listed = _listed(text)
    if len(listed) > _METRICS_KEYS or not all(map(_SHA256.fullmatch, listed)):
        # Without the value: it may be a key, given by mistake.
        raise SettingsError(
            f"METRICS_KEY_SHA256 has something else than up to {_METRICS_KEYS} SHA-256 of keys, each of 64 digits of "
            "0-9a-f, separated by commas"
        )
    return tuple(map(bytes.fromhex, listed))


def _path(env: Mapping[str, str], name: str) -> Path | None:
    return Path(env[name]) if env.get(name) else None


def _origins(text: str) -> tuple[str, ...]:
    origins = _listed(text)
    for origin in origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise SettingsError(f"CORS_ALLOW_ORIGINS names {origin!r}; use scheme://host[:port], or * for all pages")
    return origins


def _hosts(text: str) -> tuple[str, ...]:
    hosts = _listed(text)
    for host in hosts:
        if not checked_name(host):
            raise SettingsError(
                f"ALLOWED_HOSTS names {host!r}; use names without a port, or *.example for all below one"
            )
    return hosts


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def in_cluster(env: Mapping[str, str]) -> bool:
    """Return whether this process runs in a pod: Kubernetes sets the API server's address in every container."""
    return "KUBERNETES_SERVICE_HOST" in env


def hosts(host: str, settings: Settings) -> tuple[str, ...]:
    """Return where to listen: on ``host`` and where the settings say; 0.0.0.0 holds every address of IPv4.

    Raises:
        SettingsError: one of them is no loopback address, and this gateway has no keys.
    """
    found = tuple(dict.fromkeys((host, settings.switchyard_listen or host)))
    for one in found:
        require_loopback(one, settings)
    return ("0.0.0.0",) if "0.0.0.0" in found else found  # noqa: S104


def require_loopback(host: str, settings: Settings) -> None:
    """A gateway without keys serves its own machine only.

    Raises:
        SettingsError: ``host`` is no loopback address and the operator has not allowed that.
    """
    if not (is_loopback(host) or settings.switchyard_tenants or settings.switchyard_allow_open):
        raise SettingsError(
            f"this gateway checks no keys, so it does not listen on {host}: use --host 127.0.0.1, name a file "
            "of keys by SWITCHYARD_TENANTS, or set SWITCHYARD_ALLOW_OPEN=true where a network policy decides who can "
            "reach it"
        )
