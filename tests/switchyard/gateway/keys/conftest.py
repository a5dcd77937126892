"""The real Redis of the store's tests."""

from tests.switchyard.store.conftest import redis_server

__all__ = ["redis_server"]
