"""TLS of a server by files that may be replaced at any time: new connections get the new ones, old ones go on."""

import asyncio
import logging
import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from switchyard.files import read_file

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
_FILE_BYTES = 4 * 1024 * 1024  # all authorities that a system trusts have 250 KB
# Forward secret and authenticated; RFC 9113 §9.2.2 forbids HTTP/2 all others. Of TLS 1.3 every one is.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"

_DAY = 86_400.0
# Half of the 30 days that are left of 90 when cert-manager renews: whoever should renew this one does not.
_WARN_SECONDS = 14 * _DAY

_Stamp = tuple[tuple[int, int, int] | None, ...]


class TlsError(ValueError):
    """The files cannot be used; the message names them."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A certificate with its chain, its key, and the authorities of clients' certificates; PEM.

    With ``client_ca`` every client needs a certificate of one of those (mTLS).
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Make a server's context of what the files hold now.

        Raises:
            TlsError: they cannot be used.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_ciphers(_CIPHERS)
        context.set_alpn_protocols(["h2", "http/1.1"])
        for path in self._paths:
            _require_readable(path)
        try:
            # Without a password OpenSSL would ask for one at the terminal.
            context.load_cert_chain(self.certificate, self.key, password=lambda: "")
        except (ssl.SSLError, OSError) as err:
            why = getattr(err, "reason", None) or err
            raise TlsError(f"{self.certificate} and {self.key} are no certificate and its plain key: {why}") from err
        if self.client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            try:
                context.load_verify_locations(self.client_ca)
            except (ssl.SSLError, OSError) as err:
                why = getattr(err, "reason", None) or err
                raise TlsError(f"{self.client_ca} has no certificates of authorities: {why}") from err
        return context

    def expires(self) -> float:
        """Return when the first certificate of the chain expires, in seconds since 1970.

        Raises:
            TlsError: the file has none.
        """
        from cryptography import x509  # not at the top: it takes 30 ms, and most servers have no TLS

        try:
            chain = x509.load_pem_x509_certificates(read_file(self.certificate, _FILE_BYTES))
        except (OSError, ValueError) as err:
            raise TlsError(f"{self.certificate} has no certificates: {err}") from err
        return min(one.not_valid_after_utc.timestamp() for one in chain)

    @property
    def _paths(self) -> tuple[Path, ...]:
        return (self.certificate, self.key) if self.client_ca is None else (self.certificate, self.key, self.client_ca)

    def stamp(self) -> _Stamp:
        """Return what changes with the files: a volume swaps links, so their targets are looked at."""
        return tuple(_stamp(path) for path in self._paths)


class WatchedTls:
    """The context of files that are followed.

    ``on_read`` is told whether what they hold is in force, and when what is in force expires. ``now`` returns seconds
    since 1970.

    Raises:
        TlsError: the files cannot be used at the start.
    """

    def __init__(
        self, files: TlsFiles, on_read: Callable[[bool, float], None], now: Callable[[], float] = time.time
    ) -> None:
        self._files = files
        self._on_read = on_read
        self._now = now
        self._stamp = files.stamp()
        self._current, self._expires = files.context(), files.expires()
        self._warned = float("-inf")
        on_read(True, self._expires)

    def __call__(self) -> ssl.SSLContext:
        """Return the context of new connections; one that is replaced lives as long as connections have it."""
        return self._current

    async def follow(self) -> None:
        """Read the files again whenever they have changed, and warn before they expire, until cancelled."""
        seen = self._stamp
        while True:
            self._warn()
            await asyncio.sleep(_LOOK_SECONDS)
            before, seen = seen, self._files.stamp()
            # Whoever replaces two files replaces one first: they are read when both have been the same for a while.
            if seen == self._stamp or seen != before:
                continue
            self._stamp = seen
            try:
                self._current, self._expires = self._files.context(), self._files.expires()
            except TlsError as err:
                logger.error("the last valid certificate stays in force: %s", err, extra={"problem": "certificate"})
                self._on_read(False, self._expires)
            else:
                logger.info("certificate read", extra={"file": str(self._files.certificate), "solved": "certificate"})
                self._warned = float("-inf")
                self._on_read(True, self._expires)

    def _warn(self) -> None:
        """Write once a day that the certificate in force expires soon, or has expired."""
        now = self._now()
        if now - self._warned < _DAY or (left := self._expires - now) > _WARN_SECONDS:
            return
        self._warned = now
        ends = datetime.fromtimestamp(self._expires, UTC).isoformat(timespec="minutes")
        said = f"expires in {left / _DAY:.1f} days" if left > 0 else "has expired: clients reject it"
        fields = {"not_after": ends, "problem": "certificate"}
        logger.warning("the certificate %s %s", self._files.certificate, said, extra=fields)


def _require_readable(path: Path) -> None:
    try:
        read_file(path, _FILE_BYTES)
    except OSError as err:
        raise TlsError(f"{path} cannot be read: {err.strerror}") from err


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_size
