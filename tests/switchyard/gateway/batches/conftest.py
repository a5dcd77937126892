"""Stores of both kinds."""

from tests.switchyard.store.conftest import redis_server, sqlite_url, url

__all__ = ["redis_server", "sqlite_url", "url"]
