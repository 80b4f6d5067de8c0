"""The start of a run: this checks and prepares everything, and then becomes the server."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from typing import Any

from gateway.settings import SettingsError
from image_intensity.slots import cores
from local_server.cache import prepare_database
from local_server.settings import FOLDER, REPOSITORY, LocalSettings

PREFIX = "image-intensity-"
LOCK = "lock"
ANOTHER = "Choose another: PORT=5001 make run"
# Longer than nginx keeps a connection to us.
IDLE_SECONDS = 30
# uvicorn's settings for each way of starting it. h11 reads what Java's client sends with `Upgrade: h2c`, httptools
# loses its body (docs/decisions/local-runs.md).
UVICORN: dict[str, Any] = {
    "http": "h11",
    "ws": "none",
    "lifespan": "on",
    "access_log": False,
    "server_header": False,
    # Who sent a request is whoever is connected. Only make_app knows proxies that may say otherwise.
    "proxy_headers": False,
    # Of a head before the rest of it arrives.
    "h11_max_incomplete_event_size": 32 * 1024,
    "timeout_keep_alive": IDLE_SECONDS,
}


def main() -> None:
    """Serve until Ctrl+C. A wrong setting, or a port in use, is one line on standard error and exit status 1."""
    try:
        settings = LocalSettings.load(os.environ)
        alone = sys.platform == "win32" or settings.reload
        os.environ.update(prepared(settings, alone=alone))
    except SettingsError as error:
        sys.exit(f"Cannot start: {error}")
    if not alone:
        # The same process, with another environment from its first moment on.
        gunicorn = ("-m", "gunicorn", "--config", "python:local_server.gunicorn", "local_server.app:run()")
        os.execv(sys.executable, [sys.executable, *gunicorn])  # noqa: S606 - there is nothing to escape
    try:
        serve_alone(LocalSettings.load(os.environ))
    finally:
        shutil.rmtree(os.environ[FOLDER], ignore_errors=True)


def prepared(settings: LocalSettings, *, alone: bool) -> dict[str, str]:
    """Return the environment of the workers, when all is there that they share. Raises SettingsError."""
    if settings.unix_socket:
        check_socket(settings.unix_socket)
    port = settings.port if settings.unix_socket else free_port(settings.host, settings.port)
    folder = private_folder()
    prepare_database(folder / "cache.sqlite")
    return {
        # CloudWatch's metric records are of no use on a terminal. Powertools reads this variable itself.
        "POWERTOOLS_METRICS_DISABLED": "true",
        # As on Lambda: see docs/decisions/start-and-memory.md. The C library reads them when a process starts.
        **dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), "33554432"),
        **os.environ,
        # Without one, each worker would make its own, and know nothing of what another has signed.
        "SECRET_KEY": settings.secret_key.get_secret_value(),
        "PORT": str(port),
        # The emulators have one queue, which is in the process that serves.
        "WORKERS": "1" if alone or settings.processor_endpoints else str(settings.workers or cores()),
        FOLDER: str(folder),
    }


def check_socket(path: str) -> None:
    """Check that there can be a Unix socket at the path. An earlier run may have left one. Raises SettingsError."""
    try:
        if Path(path).is_socket():
            Path(path).unlink()
        with socket.socket(socket.AF_UNIX) as probe:
            probe.bind(path)
    except OSError as error:
        raise SettingsError(f"UNIX_SOCKET={path}: {error.strerror or error}") from error


def free_port(host: str, port: int) -> int:
    """Return the port if it is free, or for 0 any that is. Raises SettingsError."""
    # With `SO_REUSEPORT`, as the workers have it, a second start on the same port would be no error.
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            if port and host == "127.0.0.1":
                # A browser asks `localhost` by IPv6 first, where port 5000 of a Mac is AirPlay's.
                with suppress(OSError), socket.create_connection(("::1", port), 1):
                    raise SettingsError(f"port {port}: another program answers at http://localhost:{port}. {ANOTHER}")
            return int(probe.getsockname()[1])
    except (OSError, UnicodeError) as error:
        if not isinstance(error, OSError) or error.errno not in {errno.EADDRINUSE, errno.EACCES}:
            raise SettingsError(f"HOST={host}: not a name or an address of this machine") from error
        raise SettingsError(f"port {port} of {host}: {os.strerror(error.errno)}. {ANOTHER}") from error


def private_folder() -> Path:
    """Return a new folder for the cache and uploads, and remove those of runs that were killed.

    All processes of a run inherit a lock on a file in its folder.
    """
    if sys.platform == "win32":
        return Path(mkdtemp(prefix=PREFIX))
    import fcntl  # noqa: PLC0415 - Windows has none

    for left in Path(gettempdir()).glob(f"{PREFIX}*"):
        # Somebody else's, or of a run that lives. One without the file is what an earlier removal left.
        with suppress(OSError), (left / LOCK).open("a") as other:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)
    # It gets the name that others look for when it is locked.
    unlocked = Path(mkdtemp(prefix=f".{PREFIX}"))
    lock = os.open(unlocked / LOCK, os.O_CREAT | os.O_RDWR)
    os.set_inheritable(lock, True)  # noqa: FBT003 - it is positional
    fcntl.flock(lock, fcntl.LOCK_EX)
    return unlocked.rename(unlocked.with_name(unlocked.name[1:]))


def serve_alone(settings: LocalSettings) -> None:
    """Serve with uvicorn in one process, and with RELOAD=1 start that anew when the code has changed."""
    import uvicorn  # noqa: PLC0415 - gunicorn loads it by itself

    announce(settings)
    uvicorn.run(
        "local_server.app:run",
        factory=True,
        log_level="error",
        host=settings.host,
        port=settings.port,
        uds=settings.unix_socket or None,
        reload=settings.reload,
        reload_dirs=[str(REPOSITORY / each) for each in ("core", "functions", "infra/local", "layers")],
        **UVICORN,
    )


def place(settings: LocalSettings) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"unix:{settings.unix_socket}" if settings.unix_socket else f"{host}:{settings.port}"


def announce(settings: LocalSettings) -> None:
    address = place(settings) if settings.unix_socket else f"http://{place(settings)}"
    address = address.replace("//127.0.0.1:", "//localhost:")
    print(f"Image Intensity Service: {address} (Ctrl+C stops it)", flush=True)  # noqa: T201 - for a person
