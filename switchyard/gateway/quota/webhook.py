"""Sends messages to one URL of the operator's, signed as Standard Webhooks has it."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import ssl
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from switchyard.files import read_file
from switchyard.http.client import Client, Limits
from switchyard.http.client.errors import UpstreamError

logger = logging.getLogger(__name__)

_SECONDS = 15.0  # for one attempt
_RESPONSE_BYTES = 64 * 1024  # nothing of it is used
_SECRET_BYTES = 4096
_BASE64_SECRET = b"whsec_"


class WebhookError(Exception):
    """A message was not accepted; the message says why, and never has the secret."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where messages go: ``url``, signed with the secret in ``secret_file``, read each time as it may be rotated.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """

    url: str
    secret_file: Path

    async def send(self, message_id: str, body: bytes, now: Callable[[], float] = time.time) -> None:
        """Send a message once; whoever repeats it keeps its id. A redirect is not followed: it may lead anywhere.

        Raises:
            WebhookError: it was not accepted.
        """
        try:
            secret = await asyncio.to_thread(read_secret, self.secret_file)
            # It reads all authorities, for 20 ms.
            tls = await asyncio.to_thread(ssl.create_default_context) if self.url.startswith("https:") else None
            client = Client(Limits(response_bytes=_RESPONSE_BYTES), tls)
            try:
                async with asyncio.timeout(_SECONDS):
                    headers = signed(secret, message_id, int(now()), body)
                    response = await client.request(b"POST", self.url, headers, body)
                    response.close()
            finally:
                await client.aclose()
        except TimeoutError as err:
            raise WebhookError(f"there is no response within {_SECONDS:g} s") from err
        except (OSError, ValueError, UpstreamError) as err:
            raise WebhookError(str(err)) from err
        if not 200 <= response.status < 300:
            raise WebhookError(f"the response is {response.status}")


def read_secret(path: Path) -> bytes:
    """Return the secret of a file: its text, or what ``whsec_`` and base64 stand for.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no secret.
    """
    text = read_file(path, _SECRET_BYTES).strip()
    if not text:
        raise ValueError(f"{path} is empty; it holds the secret by which webhooks are signed")
    if not text.startswith(_BASE64_SECRET):
        return text
    try:
        return base64.b64decode(text.removeprefix(_BASE64_SECRET), validate=True)
    except binascii.Error:
        raise ValueError(f"{path} holds no base64 after whsec_") from None


def warn_if_shared(path: Path) -> None:
    """Write that others can read the secret, if they can."""
    if path.stat().st_mode & stat.S_IROTH:
        message = "everybody on this machine can read %s, by which webhooks are signed: chmod 600 %s"
        logger.warning(message, path, path)


def signed(secret: bytes, message_id: str, timestamp: int, body: bytes) -> list[tuple[bytes, bytes]]:
    """Return the headers of a message: the signature is of its id, time and body, so that none can be replaced."""
    said = f"{message_id}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.new(secret, said, hashlib.sha256).digest())
    return [
        (b"content-type", b"application/json"),
        (b"user-agent", b"switchyard"),
        (b"webhook-id", message_id.encode()),
        (b"webhook-timestamp", str(timestamp).encode()),
        (b"webhook-signature", b"v1," + signature),
    ]
