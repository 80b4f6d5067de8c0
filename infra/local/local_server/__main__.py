"""`make run`: serve page and API until Ctrl+C."""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import ExitStack, suppress

import uvicorn
from uvicorn.supervisors import ChangeReload

from gateway.settings import SettingsError
from local_server.app import REPOSITORY, make_app
from local_server.settings import LocalSettings
from local_server.storage import StorageError, running

CODE = ("core", "functions", "infra/local", "layers")
# How long Ctrl+C waits for the requests under way.
SHUTDOWN_SECONDS = 5


def main() -> None:
    """Serve. A setting that cannot work, or a port in use, is one line on standard error and exit status 1."""
    # CloudWatch's metric records would only be noise on a terminal.
    os.environ.setdefault("POWERTOOLS_METRICS_DISABLED", "true")
    # By itself it would leave MiniStack behind. While uvicorn serves, it handles it, and passes it on at its end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    if hasattr(signal, "SIGHUP"):
        # The terminal was closed, which uvicorn takes no notice of.
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    try:
        settings = LocalSettings.load(os.environ)
        # Ctrl+C: uvicorn has stopped serving by the time that it passes the interrupt on.
        with suppress(KeyboardInterrupt), ExitStack() as stack:
            if settings.ministack and not settings.upload_bucket:
                use_storage(settings.ministack, stack)
            serve(settings)
    except SettingsError as error:
        sys.exit(f"Cannot start: {error}")


def use_storage(ministack: str, stack: ExitStack) -> None:
    """Have large uploads until `stack` ends. Where that cannot be, the service goes without them, and says so."""
    try:
        stack.enter_context(running(ministack))
    except StorageError as error:
        print(f"No uploads above the inline limit, as MiniStack does not start: {error}", file=sys.stderr)  # noqa: T201 - for a person


def serve(settings: LocalSettings) -> None:
    """Serve page and API. Raises SettingsError."""
    server = uvicorn.Server(
        uvicorn.Config(
            "local_server.app:make_app" if settings.reload else make_app(),
            factory=settings.reload,
            reload=settings.reload,
            reload_dirs=[str(REPOSITORY / folder) for folder in CODE] if settings.reload else None,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
    )
    listener = listen(settings.host, settings.port)
    # An IPv6 address stands in brackets in a URL.
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{'localhost' if host == '127.0.0.1' else host}:{listener.getsockname()[1]}"
    print(f"Image Intensity Service: {address} (Ctrl+C stops it)", flush=True)  # noqa: T201 - the address is for a person
    with listener:
        if settings.reload:
            ChangeReload(server.config, target=server.run, sockets=[listener]).run()
        else:
            server.run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to the address. Raises SettingsError when that cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        # Without it the port of a server that has just stopped counts as in use for a minute.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # From here on clients wait for an answer instead of being refused.
        listener.listen()
    except (OSError, UnicodeError) as error:
        # A UnicodeError is a host name with an empty or too long part.
        reason = error.strerror if isinstance(error, OSError) else "not the name of a host"
        message = f"port {port} of {host}: {reason}. Choose another: PORT=5001 make run"
        raise SettingsError(message) from error
    listener.set_inheritable(True)
    return listener


if __name__ == "__main__":
    main()
