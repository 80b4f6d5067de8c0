"""`make run`: serve page and API until Ctrl+C."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from gateway.settings import SettingsError
from local_server.app import make_app
from local_server.serving import listen, run, run_reloading
from local_server.settings import LocalSettings
from local_server.storage import StorageError, running

if TYPE_CHECKING:
    from local_server.storage import Storage


def main() -> None:
    """Serve. A wrong setting, or a port in use, is one line on standard error and exit status 1."""
    # CloudWatch's metric records are of no use on a terminal. Powertools reads this variable itself.
    os.environ.setdefault("POWERTOOLS_METRICS_DISABLED", "true")
    # Without this, SIGTERM would leave MiniStack running. While uvicorn serves, it handles the signal itself and
    # raises it again at its end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    if hasattr(signal, "SIGHUP"):
        # The terminal was closed. uvicorn does not handle this signal.
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    try:
        settings = LocalSettings.load(os.environ)
        # Ctrl+C: uvicorn stops serving and then raises the interrupt again.
        with suppress(KeyboardInterrupt), ExitStack() as stack:
            wanted = settings.ministack and not settings.upload_bucket
            serve(settings, start_storage(settings.ministack, stack) if wanted else None)
    except SettingsError as error:
        sys.exit(f"Cannot start: {error}")


def start_storage(ministack: str, stack: ExitStack) -> Storage | None:
    """Run the storage for large uploads until `stack` ends. If it does not start, say so and go on without it."""
    try:
        return stack.enter_context(running(ministack))
    except StorageError as error:
        print(f"No uploads above the inline limit, as MiniStack does not start: {error}", file=sys.stderr)  # noqa: T201 - for a person
        return None


def serve(settings: LocalSettings, storage: Storage | None) -> None:
    """Serve page and API. Raises SettingsError."""
    app = None if settings.reload else make_app(os.environ, storage)
    listener = listen(settings.host, settings.port)
    # A URL has an IPv6 address in brackets.
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{'localhost' if host == '127.0.0.1' else host}:{listener.getsockname()[1]}"
    print(f"Image Intensity Service: {address} (Ctrl+C stops it)", flush=True)  # noqa: T201 - the address is for a person
    with listener:
        if app:
            run(app, [listener])
        else:
            run_reloading(storage, [listener])


if __name__ == "__main__":
    main()
