import os

import pytest

from switchyard.repository.sources import Location, SourceError, parse


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("s3://bucket/models/chat/", Location(scheme="s3", place="bucket", path="models/chat", follows=True)),
        ("s3://bucket", Location(scheme="s3", place="bucket", path="", follows=True)),
        ("s3://bucket/m?follow=false", Location(scheme="s3", place="bucket", path="m", follows=False)),
        ("hf://owner/model", Location(scheme="hf", place="owner", path="model")),
        ("hf://owner/model:v1", Location(scheme="hf", place="owner", path="model", revision="v1")),
        ("hf://owner/model?follow=true", Location(scheme="hf", place="owner", path="model", follows=True)),
        ("oci://host:5000/a/b:1", Location(scheme="oci", place="host:5000", path="a/b", revision="1")),
        ("oci://host/a@sha256:12", Location(scheme="oci", place="host", path="a", revision="sha256:12")),
        ("pvc://claim/llm/chat", Location(scheme="pvc", place="claim", path="llm/chat", follows=True)),
        ("/srv/model", Location(scheme="file", place="", path="srv/model", follows=True)),
        ("llm/tiny=hf://o/m", Location(scheme="hf", place="o", path="m", group="llm", name="tiny")),
        ("tiny=hf://o/m", Location(scheme="hf", place="o", path="m", name="tiny")),
    ],
)
def test_an_address_is_read_as_it_is_written(text: str, location: Location) -> None:
    assert parse(text) == location


def test_a_relative_folder_is_one_of_here() -> None:
    assert f"/{parse('models/digits').path}" == os.path.abspath("models/digits")


@pytest.mark.parametrize("text", ["s3://bucket/a/b", "hf://o/m:v2", "oci://r:5/n@sha256:00", "pvc://c/p", "/a/b"])
def test_a_location_is_written_as_it_was_read(text: str) -> None:
    assert parse(text).uri == text


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("http://host/model", "is no source of models"),
        ("https://huggingface.co/Qwen/Qwen3-0.6B/tree/main", "write hf://Qwen/Qwen3-0.6B"),
        ("s3://", "write s3://bucket/prefix"),
        ("hf://model", "write hf://owner/model"),
        ("oci://registry", "write oci://registry/name:tag"),
        ("Vision=s3://bucket", "write vision/NAME=ADDRESS"),
        ("audio/x=s3://bucket", "write vision/NAME=ADDRESS"),
        ("s3://bucket/m?versionId=3", "only ?follow=true"),
        ("s3://" + "x" * 2000, "too long"),
        ("s3://[bucket", "cannot be read"),
        ("pvc://claim/../..", "leaves its claim: write the path without .."),
        ("pvc://claim/a/../b", "leaves its claim"),
    ],
)
def test_what_is_no_address_is_said_with_what_to_write(text: str, advice: str) -> None:
    with pytest.raises(SourceError) as raised:
        parse(text)
    assert advice in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "s3://someone:hunter2@bucket/m",
        "oci://someone:hunter2@registry/m:1",
        "s3://bucket/m?X-Amz-Signature=hunter2",
        "x=s3://hunter2:@bucket",
    ],
)
def test_a_credential_in_an_address_is_rejected_and_not_repeated(text: str) -> None:
    with pytest.raises(SourceError) as raised:
        parse(text)
    assert "hunter2" not in str(raised.value)
