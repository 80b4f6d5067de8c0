"""The socket that clients connect to. The parent binds it, and all workers accept connections from it."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

from gateway.settings import SettingsError


def listen_at(path: str) -> socket.socket:
    """Return a Unix socket that listens at the path. Raises SettingsError if that is not possible."""
    try:
        # An earlier run has left it there. If that still runs, it gets no more connections.
        if Path(path).is_socket():
            Path(path).unlink()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
    except OSError as error:
        message = f"UNIX_SOCKET={path}: {error.strerror or error}"
        raise SettingsError(message) from error
    return listener


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at the address. Raises SettingsError if that is not possible."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        # A UnicodeError comes from a host name with an empty or too long part.
        reason = error.strerror if isinstance(error, OSError) else "not the name of a host"
        raise SettingsError(f"HOST={host}: {reason}") from error
    try:
        listener = socket.socket(family, kind, protocol)
        # Without this, the port of a server that has just stopped is in use for another minute.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # From now on, clients wait for an answer. Before, they were refused.
        listener.listen()
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise SettingsError(f"HOST={host}: not an address of this machine") from error
        message = f"port {port} of {host}: {error.strerror}. Choose another: PORT=5001 make run"
        raise SettingsError(message) from error
    return listener


def address_of(listener: socket.socket, host: str) -> str:
    """Return the address for a person to open; of a Unix socket, its path."""
    if listener.family not in {socket.AF_INET, socket.AF_INET6}:
        return f"unix:{listener.getsockname()}"
    # A URL has an IPv6 address in brackets.
    name = f"[{host}]" if ":" in host else host
    return f"http://{'localhost' if name == '127.0.0.1' else name}:{listener.getsockname()[1]}"
