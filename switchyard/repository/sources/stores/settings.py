"""What is said where a store's client cannot be made, or used, because of what is set here."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from switchyard.repository.names import quoted
from switchyard.repository.sources.remote import SourceError
from switchyard.repository.sources.uri import Location, Scheme

_AWS_FILES = "~/.aws/config and ~/.aws/credentials"
_SETTINGS: Mapping[Scheme, str] = {
    "s3": f"the variables AWS_*, {_AWS_FILES}",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS and STORAGE_EMULATOR_HOST",
    "hf": "HF_TOKEN and HF_ENDPOINT",
    "oci": "OCI_USERNAME, OCI_PASSWORD and docker's config.json",
}
_AWS: Mapping[str, str] = {
    "PartialCredentialsError": "there is one half of the credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "InvalidConfigError": f"the profile contradicts itself in {_AWS_FILES}, or names one that is not there",
    "InvalidRegionError": "AWS_REGION is no region: write one such as eu-central-1",
    "ParamValidationError": "its bucket cannot have this name: write s3://bucket/folder",
    "ValueError": "AWS_ENDPOINT_URL is no address: write http://host:port or https://host",
    "EndpointResolutionError": "AWS_ENDPOINT_URL is no address: write http://host:port or https://host",
    "FileNotFoundError": f"the program that credential_process names in {_AWS_FILES} is not there",
}
_AWS_LOGIN = ("CredentialRetrievalError", "TokenRetrievalError", "RefreshWithMFAUnsupportedError")


@contextmanager
def configured(location: Location) -> Iterator[None]:
    """Turn what a store's library raises while its client is made into a sentence.

    Raises:
        SourceError: it names the setting, and no value of a secret.
    """
    try:
        yield
    except SourceError:
        raise
    except Exception as err:  # each library has classes of its own, and ValueError and OSError beside them
        raise misconfigured(location.uri, location.scheme, err) from None


def misconfigured(subject: str, scheme: Scheme, err: Exception) -> SourceError:
    """Return the error of a store whose library does not take what is set here.

    Texts of libraries hold URLs and tokens: of an error only its type, and names of profiles and files, are repeated.
    What is not known here may be over after a while.
    """
    reasons = {"s3": _of_s3, "gs": _of_gs, "hf": _of_hub, "oci": _of_oci}
    if reason := reasons[scheme](err):
        return SourceError(f"{subject} cannot be read: {reason}")
    hint = f"its client failed ({type(err).__name__}): look at {_SETTINGS[scheme]}"
    return SourceError(f"{subject} cannot be read: {hint}", transient=True)


def _of_s3(err: Exception) -> str:
    name, details = type(err).__name__, getattr(err, "kwargs", {})
    if name == "ProfileNotFound":
        profile = quoted(str(details.get("profile", "")))
        return f"AWS_PROFILE names {profile}, which {_AWS_FILES} do not have: add the profile, or name another"
    if name == "ConfigParseError":
        return f"{quoted(_from_home(str(details.get('path', ''))))} is no file of AWS's settings: correct it"
    if "SSO" in name or name in _AWS_LOGIN:
        return "there are no credentials of the profile: log in again, for example by `aws sso login`"
    return _AWS.get(name, "")


def _of_gs(err: Exception) -> str:
    file = Path(os.environ.get("GOOGLE_APPLICATION_CREDENTIALS", ""))
    if type(err).__name__ in ("MissingSchema", "InvalidSchema", "InvalidURL"):
        return "STORAGE_EMULATOR_HOST is no address: write http://host:port"
    if not file.name:
        return ""
    if not file.exists():
        reason = "is not there"
    else:
        reason = "has no credentials of Google's" if os.access(file, os.R_OK) else "may not be read"
    return (
        f"{quoted(_from_home(str(file)))}, which GOOGLE_APPLICATION_CREDENTIALS names, {reason}: name the key file of "
        "a service account, or none for a public bucket"
    )


def _of_hub(err: Exception) -> str:
    if isinstance(err, UnicodeError) or type(err).__name__ == "LocalProtocolError":
        return "HF_TOKEN has characters that no token has: copy it again, in one line"
    if type(err).__name__ in ("InvalidURL", "UnsupportedProtocol", "ValueError"):
        return "HF_ENDPOINT is no address: write https://host"
    return ""


def _of_oci(err: Exception) -> str:
    if type(err).__name__ == "InvalidURL":
        return "its registry is no address: write oci://host:port/name:tag"
    return "docker's config.json is damaged: log in again by `docker login`, or set OCI_USERNAME and OCI_PASSWORD"


def _from_home(path: str) -> str:
    home = os.path.expanduser("~")
    return f"~{path[len(home) :]}" if path.startswith(f"{home}/") else path
