from pathlib import Path

import pytest

from switchyard.store.factory import open_store


async def test_a_relative_path_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:folder/file.db")
    await store.put("conversation:one", b"value", ttl=60)
    await store.aclose()

    assert (tmp_path / "folder/file.db").exists()


@pytest.mark.parametrize("url", ["", "sqlite:", "sqlite://host/file", "postgres://host", "/a/file"])
def test_a_url_that_means_no_store_is_rejected(url: str) -> None:
    with pytest.raises(ValueError, match="is not a store"):
        open_store(url)
