"""What is set wrongly for a store is named in a sentence, whichever of its library's errors it is."""

from pathlib import Path

import pytest

from switchyard.repository.sources import SourceError, open_source
from tests.ports import free_port

# Google's client says so where gRPC is installed without an extra that it would use there; not over HTTP.
pytestmark = pytest.mark.filterwarnings("ignore:Please install grpcio-status:ImportWarning")

S3, GS, HUB = "s3://models/tiny", "gs://models/tiny", "hf://lab/tiny"
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "eu"}
ADDRESS = "AWS_ENDPOINT_URL is no address: write http://host:port or https://host"
HERE = "{folder}"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home folder with damaged settings of AWS, and with one profile in others."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "GOOGLE_APPLICATION_CREDENTIALS", "HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "OCI_USERNAME", "OCI_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (("HOME", str(tmp_path)), ("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_MAX_ATTEMPTS", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NO_PROXY", "*")
    (tmp_path / "damaged").write_text("no [ini\n=")
    (tmp_path / "profiles").write_text(
        "[profile login]\nsso_start_url=https://x\nsso_region=eu-central-1\nsso_account_id=1\nsso_role_name=r\n"
        "[profile role]\nrole_arn=a\nsource_profile=none\n"
    )
    (tmp_path / "key.json").write_text('{"type": "service_account", "project_id": "hidden-secret"}')
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text('{"auths": [1]}')
    return tmp_path


@pytest.mark.parametrize(
    ("uri", "settings", "told"),
    [
        (
            S3,
            {"AWS_PROFILE": "models"},
            "AWS_PROFILE names 'models', which ~/.aws/config and ~/.aws/credentials do not",
        ),
        (S3, {"AWS_CONFIG_FILE": f"{HERE}/damaged"}, "'~/damaged' is no file of AWS's settings"),
        (S3, {"AWS_ENDPOINT_URL": "nonsense"}, ADDRESS),
        (S3, {"AWS_ENDPOINT_URL": "http://host:port", **KEYS}, ADDRESS),
        (S3, {"AWS_ENDPOINT_URL": "ftp://host", **KEYS}, ADDRESS),
        (S3, {"AWS_ACCESS_KEY_ID": "hidden-secret"}, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        (S3, {"AWS_CONFIG_FILE": f"{HERE}/profiles", "AWS_PROFILE": "login"}, "`aws sso login`"),
        (S3, {"AWS_CONFIG_FILE": f"{HERE}/profiles", "AWS_PROFILE": "role"}, "names one that is not there"),
        ("s3://B!/x", KEYS, "its bucket cannot have this name"),
        (GS, {"GOOGLE_APPLICATION_CREDENTIALS": f"{HERE}/none.json"}, "'~/none.json', which GOOGLE_APPLICATION_CREDEN"),
        (GS, {"GOOGLE_APPLICATION_CREDENTIALS": f"{HERE}/damaged"}, "has no credentials of Google's"),
        (GS, {"GOOGLE_APPLICATION_CREDENTIALS": f"{HERE}/key.json"}, "has no credentials of Google's"),
        (GS, {"STORAGE_EMULATOR_HOST": "nonsense"}, "STORAGE_EMULATOR_HOST is no address"),
        (HUB, {"HF_TOKEN": "hidden-secrät"}, "HF_TOKEN has characters that no token has"),
        (HUB, {"HF_ENDPOINT": "nonsense"}, "HF_ENDPOINT is no address"),
        ("oci://localhost:port/models/tiny:v1", {}, "docker's config.json is damaged"),
        (
            "oci://localhost:port/models/tiny:v1",
            {"OCI_USERNAME": "a", "OCI_PASSWORD": "b", "OCI_REGISTRY": "localhost:port"},
            "its registry is no address: write oci://host:port/name:tag",
        ),
    ],
)
def test_what_is_set_wrongly_is_named_with_what_to_do(
    uri: str, settings: dict[str, str], told: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if uri == S3 and "AWS_ENDPOINT_URL" not in settings:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    for name, value in settings.items():
        monkeypatch.setenv(name, value.format(folder=home))
    with pytest.raises(SourceError) as raised:
        open_source(uri).resolve()
    assert (str(raised.value).startswith(f"{uri} cannot be read: "), told in str(raised.value)) == (True, True), raised
    assert "hidden" not in str(raised.value)
    assert not raised.value.transient
