"""Signatures of models: ``model.sig`` in the folder, as OpenSSF's model-signing writes it, against keys trusted here.

Nothing is asked of the network: a signature is by an elliptic-curve key, or by a certificate that one trusted here has
issued. The library and what it needs take most of a second to import, which only a folder with a signature pays.
"""

import base64
import hashlib
import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from switchyard.files import read_file
from switchyard.repository.folder import list_files
from switchyard.repository.names import quoted
from switchyard.repository.verdict import Facts, Fault, FaultCode, Group
from switchyard.settings import SettingsError, choice

SIGNATURE = "model.sig"
KEYS_SETTING, POLICY_SETTING = "SWITCHYARD_MODEL_KEYS", "SWITCHYARD_MODEL_SIGNATURES"
_IF_PRESENT, _REQUIRE = "if-present", "require"
_KEY_BYTES = 64 * 1024  # a chain of ten certificates has 20 KB
_KEYS = 100
_SIGNATURE_BYTES = 16 << 20  # a line of 150 bytes for each of 100,000 files
_KEY, _CERTIFICATE = b"-----BEGIN PUBLIC KEY-----", b"-----BEGIN CERTIFICATE-----"
_MISMATCH = "Signature mismatch: "
_DIFFERENCES = {
    "was changed": re.compile(r"Hash mismatch for '(.+?)': Expected"),
    "is missing": re.compile(r"Missing files in model '.*?': (.+?)['\"][,\]]"),
    "is not signed": re.compile(r"Extra files found in model '.*?': (.+?)['\"][,\]]"),
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SignaturePolicy:
    """``keys`` is a PEM file, or a folder of them, with public keys or certificates; None checks no signature.

    With ``required`` a folder without a signature is not served; else only one with a wrong signature is not.
    """

    keys: Path | None = None
    required: bool = False

    @staticmethod
    def from_env(env: Mapping[str, str]) -> "SignaturePolicy":
        """Read SWITCHYARD_MODEL_KEYS and SWITCHYARD_MODEL_SIGNATURES ("require" or "if-present").

        Raises:
            SettingsError: signatures are required without keys, or the keys cannot be used.
        """
        required = choice(env, POLICY_SETTING, _IF_PRESENT, (_IF_PRESENT, _REQUIRE)) == _REQUIRE
        path = env.get(KEYS_SETTING, "")
        if not path:
            if required:
                raise SettingsError(f"{POLICY_SETTING} is {_REQUIRE}, but {KEYS_SETTING} names no keys to verify by")
            return SignaturePolicy()
        policy = SignaturePolicy(Path(path).absolute(), required)
        try:
            list(trusted_keys(Path(path)))
        except (OSError, ValueError) as err:
            raise SettingsError(f"{KEYS_SETTING} is {path!r}: {_text(err)}") from err
        return policy

    def trusts(self, facts: Facts, *, has_signature: bool) -> bool:
        """Return whether what was published with these facts may be served still, now that these are the keys.

        Raises:
            OSError: a file of keys cannot be read.
        """
        if self.keys is None:
            return True
        if not (has_signature or facts.signing_key):
            return not self.required
        return facts.signing_key in {key.fingerprint() for key in trusted_keys(self.keys)}

    def fingerprint(self) -> str:
        """Return what differs if anything does by which a folder is judged; a verdict by other keys is out of date.

        Raises:
            OSError: a file of keys cannot be read.
        """
        if self.keys is None:
            return ""
        whole = hashlib.sha256(str(self.required).encode())
        for key in trusted_keys(self.keys):
            whole.update(f"\0{key.path.name}\0".encode() + read_file(key.path, _KEY_BYTES))
        return whole.hexdigest()


UNCHECKED = SignaturePolicy()


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A file of ``SignaturePolicy.keys``: a public key, or certificates of those who may sign."""

    path: Path
    is_certificate: bool

    @property
    def name(self) -> str:
        return self.path.stem

    def fingerprint(self) -> str:
        """Return the SHA-256 of the file."""
        return hashlib.sha256(read_file(self.path, _KEY_BYTES)).hexdigest()


@dataclass(frozen=True, slots=True)
class Signer:
    """Who has signed: the name and the fingerprint of the trusted key."""

    name: str = ""
    fingerprint: str = ""


UNSIGNED = Signer()


def trusted_keys(keys: Path) -> Iterator[TrustedKey]:
    """Yield the keys in a file, or in the files of a folder, in the order of their names.

    Raises:
        OSError: a file cannot be read.
        ValueError: one is neither a public key nor a certificate, or there is none.
    """
    keys.stat()  # raises for a path that does not exist
    paths = sorted(path for path in keys.iterdir() if not path.name.startswith(".")) if keys.is_dir() else [keys]
    paths = [path for path in paths if path.is_file()]
    if not 0 < len(paths) <= _KEYS:
        raise ValueError(f"it has {len(paths)} files of keys; give 1 to {_KEYS}")
    for path in paths:
        content = read_file(path, _KEY_BYTES)
        if b"PRIVATE KEY" in content:
            raise ValueError(f"{path.name} is a private key, which belongs to who signs; give the public one")
        if _KEY not in content and _CERTIFICATE not in content:
            raise ValueError(f"{path.name} is neither a public key nor a certificate in PEM")
        yield TrustedKey(path, _CERTIFICATE in content)


def check(folder: Path, group: Group, policy: SignaturePolicy) -> tuple[Signer, Fault | None]:
    """Return who has signed ``folder``, and what is wrong with the signature.

    A judge calls it for a folder whose other files are good. It reads all files once more; it never raises for the
    folder's content.
    """
    if policy.keys is None:
        return UNSIGNED, None
    path = folder / SIGNATURE
    if not path.exists():
        if policy.required:
            return UNSIGNED, _fault(
                f"{SIGNATURE} is missing, and only signed models are served here: sign the folder, by `model_signing "
                f"sign key … --signature {SIGNATURE}`."
            )
        return UNSIGNED, None
    try:
        keys = list(trusted_keys(policy.keys))
    except (OSError, ValueError) as err:
        logger.error("%s: %s", KEYS_SETTING, _text(err))
        return UNSIGNED, _fault(
            f"{SIGNATURE} cannot be verified: an administrator has to mend the keys ({KEYS_SETTING})."
        )
    try:
        payload = _payload(path)
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return UNSIGNED, _fault(f"{SIGNATURE} is no signature of OpenSSF model-signing: sign the folder again.")
    if fault := _uncovered(folder, group, payload):
        return UNSIGNED, fault
    return _verify(folder, keys)


def _fault(sentence: str) -> Fault:
    return Fault(code=FaultCode.SIGNATURE, message=sentence, file=SIGNATURE)


def _text(err: Exception) -> str:
    return str(getattr(err, "strerror", None) or err)


def _payload(path: Path) -> dict[str, Any]:
    """Return what is signed: an in-toto statement in a DSSE envelope, whose predicate lists files and digests."""
    bundle = json.loads(read_file(path, _SIGNATURE_BYTES))
    payload: dict[str, Any] = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    payload["predicate"]["serialization"]  # it is one of model-signing
    return payload


def _uncovered(folder: Path, group: Group, payload: Mapping[str, Any]) -> Fault | None:
    """Say which files the signer has left out: whoever has the folder could change these unseen."""
    ignored = payload["predicate"]["serialization"].get("ignore_paths", [])
    names = [PurePosixPath(name) for name in ignored if isinstance(name, str) and name != SIGNATURE]
    for file in sorted(list_files(folder, group).paths):
        if any(PurePosixPath(file).is_relative_to(name) for name in names):
            return _fault(f"{SIGNATURE} leaves {quoted(file)} out: sign the folder again, with all of its files.")
    return None


def _verify(folder: Path, keys: Iterable[TrustedKey]) -> tuple[Signer, Fault | None]:
    from model_signing.verifying import Config

    names = []
    for key in keys:
        config = Config()
        try:
            if key.is_certificate:
                config.use_certificate_verifier(certificate_chain=[key.path])
            else:
                config.use_elliptic_key_verifier(public_key=key.path)
            config.verify(folder, folder / SIGNATURE)
        except Exception as err:  # of four libraries, for a signature by another key as for one that is none
            if isinstance(err, ValueError) and str(err).startswith(_MISMATCH):
                return UNSIGNED, _fault(_difference(str(err)))
            names.append(key.path.name)
        else:
            return Signer(key.name, key.fingerprint()), None
    return UNSIGNED, _fault(
        f"{SIGNATURE} is by none of the keys that are trusted here ({', '.join(names[:3])}): have the folder signed by "
        "who has one of these, or the signer's key added."
    )


def _difference(message: str) -> str:
    if SIGNATURE in _DIFFERENCES["is not signed"].findall(message):
        return f"{SIGNATURE} was written elsewhere and is no part of what was signed: sign with it in the folder."
    missing = _DIFFERENCES["is missing"].search(message)
    if missing and any(part.startswith(".") for part in PurePosixPath(missing[1]).parts):
        hidden = quoted(missing[1])
        return f"{SIGNATURE} is of {hidden}, too, and hidden files are never served: remove it, and sign again."
    for what, pattern in _DIFFERENCES.items():
        if found := pattern.search(message):
            return f"The folder is not what was signed: {quoted(found[1])} {what}. Copy it again, or sign it again."
    return "The folder is not what was signed: copy it again, or sign it again."
