"""`make sam`: its storage is waited for, but not for ever."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import sam

if TYPE_CHECKING:
    import pytest


def test_a_storage_that_accepts_and_says_nothing_is_not_waited_for_any_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sam, "STORAGE_SECONDS", 0.5)
    monkeypatch.setattr(sam, "LISTEN", "127.0.0.1")
    # Nobody listens at this port, and a proxy is not to be asked.
    for name, value in {"http_proxy": "http://127.0.0.1:9", "no_proxy": "", "NO_PROXY": ""}.items():
        monkeypatch.setenv(name, value)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        waiting = threading.Thread(target=sam.wait_for_storage, args=[silent.getsockname()[1]], daemon=True)
        waiting.start()
        silent.settimeout(10)
        with silent.accept()[0]:
            waiting.join(20)
            assert not waiting.is_alive()
