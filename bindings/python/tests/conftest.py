"""Fixtures of all tests."""

import pytest

from snkv import KVStore


@pytest.fixture
def path(tmp_path):
    """Of a file that does not exist yet."""
    return str(tmp_path / "test.db")


@pytest.fixture
def db(path):
    """A new store in a file."""
    with KVStore(path) as store:
        yield store
