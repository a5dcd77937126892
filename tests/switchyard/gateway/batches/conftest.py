"""Stores of both kinds, and S3."""

from tests.switchyard.repository.sources.conftest import bucket, server
from tests.switchyard.store.conftest import redis_server, sqlite_url, url

__all__ = ["bucket", "redis_server", "server", "sqlite_url", "url"]
