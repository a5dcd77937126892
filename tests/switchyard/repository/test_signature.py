"""A folder is served with the signature of who is trusted, and with nothing changed since."""

import datetime
import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import ec

from switchyard.repository.judging.judge import check as judge
from switchyard.repository.signature import SIGNATURE, SignaturePolicy, check
from switchyard.repository.verdict import Facts, Fault, FaultCode, Memory
from switchyard.settings import SettingsError
from tests.switchyard.repository.huggingface.models import REPOSITORY

FACTS = Facts(format="huggingface", kind="llm", bytes=1, memory=Memory(weights=1))  # of a published content


def key_pair(folder: Path, name: str) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    public = key.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.private").write_bytes(private)
    (folder / "keys").mkdir(exist_ok=True)
    (folder / "keys" / f"{name}.pem").write_bytes(public)
    return key


def sign(model: Path, *arguments: str | Path) -> None:
    command = (sys.executable, "-m", "model_signing", "sign", *arguments, "--signature", model / SIGNATURE, model)
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a signed model, the public keys of two people, and the private ones beside."""
    folder = tmp_path_factory.mktemp("signed")
    model = folder / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(bytes(1000))
    for name in ("ada", "grace"):
        key_pair(folder, name)
    sign(model, "key", "--private_key", folder / "grace.private")
    return folder


def signer(folder: Path, policy: SignaturePolicy) -> tuple[str, Fault | None]:
    found, fault = check(folder, "llm", policy)
    return found.name, fault


@pytest.fixture
def place(signed: Path, tmp_path: Path) -> Path:
    return shutil.copytree(signed, tmp_path / "place")


def test_a_signature_by_a_trusted_key_says_whose_it_is(place: Path) -> None:
    renamed = (place / "model").rename(place / "another-name")
    assert signer(renamed, SignaturePolicy(place / "keys")) == ("grace", None)


def test_one_file_of_keys_is_enough(place: Path) -> None:
    assert signer(place / "model", SignaturePolicy(place / "keys" / "grace.pem")) == ("grace", None)


def test_without_keys_nothing_is_checked(place: Path) -> None:
    (place / "model" / "config.json").write_text("[]")
    assert signer(place / "model", SignaturePolicy()) == ("", None)


def test_a_folder_without_a_signature_is_served_unless_one_is_required(place: Path) -> None:
    (place / "model" / SIGNATURE).unlink()
    assert signer(place / "model", SignaturePolicy(place / "keys")) == ("", None)
    _, fault = check(place / "model", "llm", SignaturePolicy(place / "keys", required=True))
    assert fault is not None
    assert (fault.code, fault.file) == (FaultCode.SIGNATURE, SIGNATURE)
    assert "model.sig is missing, and only signed models are served here" in fault.message


@pytest.mark.parametrize(
    ("file", "content", "part"),
    [
        ("config.json", b"[]", "'config.json' was changed"),
        ("tokenizer.json", b"{}", "'tokenizer.json' is not signed"),
        ("model.safetensors", None, "'model.safetensors' is missing"),
        (SIGNATURE, b"", "no signature of OpenSSF model-signing"),
        (SIGNATURE, b"\xff" * 100, "no signature of OpenSSF model-signing"),
        (SIGNATURE, b"[" * 100_000, "no signature of OpenSSF model-signing"),
        (SIGNATURE, b'{"dsseEnvelope": {"payload": "e30="}}', "no signature of OpenSSF model-signing"),
    ],
)
def test_a_folder_that_is_not_what_was_signed(place: Path, file: str, content: bytes | None, part: str) -> None:
    path = place / "model" / file
    path.unlink() if content is None else path.write_bytes(content)
    name, fault = signer(place / "model", SignaturePolicy(place / "keys"))
    assert name == ""
    assert fault is not None
    assert part in fault.message


def test_the_signature_of_a_stranger_is_none(place: Path) -> None:
    (place / "keys" / "grace.pem").unlink()
    _, fault = check(place / "model", "llm", SignaturePolicy(place / "keys"))
    assert fault is not None
    assert "by none of the keys that are trusted here (ada.pem)" in fault.message


def test_a_signature_that_was_tampered_with_is_none(place: Path) -> None:
    path = place / "model" / SIGNATURE
    bundle = json.loads(path.read_text())
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = "AAAA"
    path.write_text(json.dumps(bundle))
    _, fault = check(place / "model", "llm", SignaturePolicy(place / "keys"))
    assert fault is not None
    assert "by none of the keys" in fault.message


def test_a_signature_may_leave_no_file_out(place: Path) -> None:
    model = place / "model"
    sign(model, "key", "--private_key", place / "grace.private", "--ignore-paths", model / "config.json")
    _, fault = check(model, "llm", SignaturePolicy(place / "keys"))
    assert fault is not None
    assert "leaves 'config.json' out" in fault.message


def test_a_certificate_that_a_trusted_one_has_issued(place: Path) -> None:
    root, leaf = key_pair(place, "root"), key_pair(place, "leaf")
    shutil.rmtree(place / "keys")
    (place / "keys").mkdir()
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Models of Example")])
    for name, key, subject in (("root", root, issuer), ("leaf", leaf, x509.Name([]))):
        certificate = certified(key, subject, issuer, root, is_authority=name == "root")
        target = place / "keys" / "example.crt" if name == "root" else place / "leaf.crt"
        target.write_bytes(certificate.public_bytes(pem.Encoding.PEM))
    sign(
        place / "model",
        "certificate",
        *("--private_key", place / "leaf.private"),
        *("--signing_certificate", place / "leaf.crt"),
        *("--certificate_chain", place / "keys" / "example.crt"),
    )
    assert signer(place / "model", SignaturePolicy(place / "keys")) == ("example", None)


def certified(
    key: ec.EllipticCurvePrivateKey,
    subject: x509.Name,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    is_authority: bool,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    usage = {"digital_signature": not is_authority, "key_cert_sign": is_authority, "crl_sign": is_authority}
    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    usage |= dict.fromkeys((*others, "encipher_only", "decipher_only"), False)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )


def test_settings_name_the_keys_and_whether_all_must_be_signed(place: Path) -> None:
    keys = str(place / "keys")
    assert SignaturePolicy.from_env({}) == SignaturePolicy()
    assert SignaturePolicy.from_env({"SWITCHYARD_MODEL_KEYS": keys}) == SignaturePolicy(place / "keys")
    required = {"SWITCHYARD_MODEL_KEYS": keys, "SWITCHYARD_MODEL_SIGNATURES": "require"}
    assert SignaturePolicy.from_env(required) == SignaturePolicy(place / "keys", required=True)


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("private.pem", "-----BEGIN PRIVATE KEY-----", "private.pem is a private key"),
        ("note.txt", "keys of the team", "note.txt is neither a public key nor a certificate"),
    ],
)
def test_what_is_no_key_stops_the_start(place: Path, name: str, content: str, part: str) -> None:
    (place / "keys" / name).write_text(content)
    with pytest.raises(SettingsError, match=part):
        SignaturePolicy.from_env({"SWITCHYARD_MODEL_KEYS": str(place / "keys")})


def test_signatures_cannot_be_required_without_keys(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="names no keys"):
        SignaturePolicy.from_env({"SWITCHYARD_MODEL_SIGNATURES": "require"})
    with pytest.raises(SettingsError, match="0 files of keys"):
        SignaturePolicy.from_env({"SWITCHYARD_MODEL_KEYS": str(tmp_path)})
    with pytest.raises(SettingsError, match="No such file"):
        SignaturePolicy.from_env({"SWITCHYARD_MODEL_KEYS": str(tmp_path / "missing")})


def test_the_judging_process_verifies_what_it_judges(signed: Path, tmp_path: Path) -> None:
    model = shutil.copytree(REPOSITORY / "chat-fast", tmp_path / "chat")
    sign(model, "key", "--private_key", signed / "ada.private")
    policy = SignaturePolicy(signed / "keys", required=True)
    facts = judge(model, signatures=policy).facts
    assert facts is not None
    assert facts.signed_by == "ada"
    (model / "generation_config.json").write_text("{}")
    assert [fault.code for fault in judge(model, signatures=policy).faults] == [FaultCode.SIGNATURE]


@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize(
    ("signing_key", "has_signature", "is_trusted"),
    [
        ("grace", True, True),
        ("removed", True, False),
        ("", True, False),  # it was published when no signature was looked at
    ],
)
def test_what_is_published_stays_as_long_as_its_key(
    place: Path, signing_key: str, has_signature: bool, is_trusted: bool, required: bool
) -> None:
    keys = {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in (place / "keys").iterdir()}
    facts = replace(FACTS, signing_key=keys.get(signing_key, signing_key))
    policy = SignaturePolicy(place / "keys", required=required)
    assert policy.trusts(facts, has_signature=has_signature) is is_trusted
    assert SignaturePolicy().trusts(facts, has_signature=has_signature)


def test_what_was_published_unsigned_stays_unless_signatures_are_required(place: Path) -> None:
    for required in (False, True):
        policy = SignaturePolicy(place / "keys", required=required)
        assert policy.trusts(FACTS, has_signature=False) is not required


def test_a_verdict_by_other_keys_is_out_of_date(place: Path) -> None:
    policy = SignaturePolicy(place / "keys")
    before = policy.fingerprint()
    assert SignaturePolicy(place / "keys").fingerprint() == before
    assert SignaturePolicy(place / "keys", required=True).fingerprint() != before
    key_pair(place, "ada")
    assert policy.fingerprint() != before


def test_a_signature_of_hidden_files_which_are_not_copied_says_what_to_do(place: Path) -> None:
    (place / "model/.notes").write_text("mine")
    sign(place / "model", "key", "--private_key", place / "grace.private")
    (place / "model/.notes").unlink()
    name, fault = signer(place / "model", SignaturePolicy(place / "keys"))
    assert name == ""
    assert fault
    assert "'.notes'" in fault.message
    assert "hidden" in fault.message
