"""TLS of a server by files that may be replaced at any time: new connections get the new ones, old ones go on."""

import asyncio
import logging
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
# Forward secret and authenticated; RFC 9113 §9.2.2 forbids HTTP/2 all others. Of TLS 1.3 every one is.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"

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

    @property
    def _paths(self) -> tuple[Path, ...]:
        return (self.certificate, self.key) if self.client_ca is None else (self.certificate, self.key, self.client_ca)

    def stamp(self) -> _Stamp:
        """Return what changes with the files: a volume swaps links, so their targets are looked at."""
        return tuple(_stamp(path) for path in self._paths)


class WatchedTls:
    """The context of files that are followed; ``on_read`` is told whether what they hold is in force.

    Raises:
        TlsError: the files cannot be used at the start.
    """

    def __init__(self, files: TlsFiles, on_read: Callable[[bool], None]) -> None:
        self._files = files
        self._on_read = on_read
        self._stamp = files.stamp()
        self._current = files.context()
        on_read(True)

    def __call__(self) -> ssl.SSLContext:
        """Return the context of new connections; one that is replaced lives as long as connections have it."""
        return self._current

    async def follow(self) -> None:
        """Read the files again whenever they have changed, until cancelled."""
        seen = self._stamp
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            before, seen = seen, self._files.stamp()
            # Whoever replaces two files replaces one first: they are read when both have been the same for a while.
            if seen == self._stamp or seen != before:
                continue
            self._stamp = seen
            try:
                self._current = self._files.context()
            except TlsError as err:
                logger.error("the last valid certificate stays in force: %s", err, extra={"outdated": "certificate"})
                self._on_read(False)
            else:
                logger.info("certificate read", extra={"file": str(self._files.certificate), "current": "certificate"})
                self._on_read(True)


def _require_readable(path: Path) -> None:
    try:
        with path.open("rb"):
            return
    except OSError as err:
        raise TlsError(f"{path} cannot be read: {err.strerror}") from err


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_size
