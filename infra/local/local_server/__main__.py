"""`make run`: serve page and API until Ctrl+C. This checks and prepares everything, and then becomes the server."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Serve. A wrong setting, or a port in use, is one line on standard error and exit status 1."""
    # Not at the top of the file: measuring processes import this file again.
    from gateway.settings import SettingsError  # noqa: PLC0415
    from local_server.settings import LocalSettings  # noqa: PLC0415
    from local_server.start import prepared, serve  # noqa: PLC0415

    try:
        settings = LocalSettings.load(os.environ)
        serve(settings, prepared(settings))
    except SettingsError as error:
        sys.exit(f"Cannot start: {error}")


if __name__ == "__main__":
    main()
