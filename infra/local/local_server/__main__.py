"""`make run`: serve page and API until Ctrl+C."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress

from gateway.settings import SettingsError
from local_server.listening import listen, listen_at
from local_server.settings import LocalSettings, StartError


def main() -> None:
    """Serve. A wrong setting, or a port in use, is one line on standard error and exit status 1."""
    # CloudWatch's metric records are of no use on a terminal. Powertools reads this variable itself.
    os.environ.setdefault("POWERTOOLS_METRICS_DISABLED", "true")
    try:
        settings = LocalSettings.load(os.environ)
        path = settings.unix_socket
        with listen_at(path) if path else listen(settings.host, settings.port) as listener, suppress(KeyboardInterrupt):
            if sys.platform == "win32":
                # Windows has no Unix sockets, sessions and file locks for several processes to work together.
                from local_server.worker import serve_alone  # noqa: PLC0415

                serve_alone(settings, listener)
            else:
                from local_server.supervisor import supervise  # noqa: PLC0415 - Windows cannot import it

                asyncio.run(supervise(settings, listener))
    except (SettingsError, StartError) as error:
        sys.exit(f"Cannot start: {error}")


if __name__ == "__main__":
    main()
