"""A private PostgreSQL and a private Redis under one directory: the default of `make run` and the servers of tests."""

from server.stack.errors import StackError
from server.stack.postgres_server import PostgresServer
from server.stack.private_server import PrivateServer, Report
from server.stack.redis_server import RedisServer
from server.stack.stack import ServerStatus, StackAddress, make_directory, remove, start, status, stop

__all__ = [
    "PostgresServer",
    "PrivateServer",
    "RedisServer",
    "Report",
    "ServerStatus",
    "StackAddress",
    "StackError",
    "make_directory",
    "remove",
    "start",
    "status",
    "stop",
]
