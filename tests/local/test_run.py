"""`make run`: the real server in a process of its own, with ordinary and with hostile files."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import tempfile
import threading
import time
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest
from PIL import Image

from local_server import start
from tests.local.measuring import black, picture
from tests.local.test_processes import wait_for
from tests.server import running_server, starting_server
from tests.support import free_port, missing

if TYPE_CHECKING:
    import subprocess

REPOSITORY = Path(__file__).parents[2]
GIGABYTE = 10**9


def upload(address: str, content: bytes, name: str = "photo.png") -> httpx.Response:
    return httpx.post(f"{address}/intensity", files={"image": (name, content)}, timeout=30)


def test_it_prints_its_address_logs_json_and_ends_with_ctrl_c() -> None:
    with running_server() as server:
        assert re.fullmatch(r"Image Intensity Service: http://localhost:\d+ \(Ctrl\+C stops it\)", server.first_line)
        response = upload(server.address, picture())
        assert response.status_code == 200
        assert server.interrupt() == 0
        lines = [json.loads(line) for line in server.output("out").splitlines()[1:]]
        assert server.output("err") == ""
    [line] = [line for line in lines if line["message"] == "request"]
    assert {"timestamp", "level", "message", "name", "request_id", "extra_info"} <= line.keys()
    assert line["request_id"] == response.headers["x-request-id"]
    assert line["extra_info"].keys() == {"method", "path", "ip", "status_code", "duration_ms", "cache"}


def answers(address: str) -> str:
    """The version of a server; nothing if it does not answer."""
    try:
        return str(httpx.get(f"{address}/health", timeout=5).json()["version"])
    except httpx.TransportError:
        return ""


def cannot_start(folder: Path, **settings: str) -> str:
    """The one line that a server which cannot start leaves behind."""
    with starting_server(folder, **settings) as server:
        assert server.process.wait(30) == 1
        assert server.output("out") == ""
        [line] = server.output("err").splitlines()
    assert line.startswith("Cannot start: ")
    return line


def test_a_port_in_use_is_one_line_that_names_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = cannot_start(tmp_path, PORT=port)
    assert port in line
    assert "in use" in line
    assert "PORT=" in line


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"APP_ENV": "production", "RELOAD": "1"}, "SECRET_KEY"),
        # Another port would not help.
        ({"HOST": "no-such-host.invalid"}, "Cannot start: HOST=no-such-host.invalid: "),
        ({"HOST": ".."}, "Cannot start: HOST=..: not a name or an address"),
        # Of the addresses for documentation (RFC 5737), which no machine has.
        ({"HOST": "192.0.2.1"}, "Cannot start: HOST=192.0.2.1: not a name or an address of this machine"),
        ({"UNIX_SOCKET": "/no/such/folder/socket"}, "UNIX_SOCKET=/no/such/folder/socket"),
        ({"UNIX_SOCKET": "/" + "x" * 200}, "UNIX_SOCKET="),
    ],
)
def test_a_setting_that_cannot_work_is_one_line_that_names_it(
    tmp_path: Path, settings: dict[str, str], named: str
) -> None:
    assert named in cannot_start(tmp_path, **settings)


def test_it_serves_at_a_unix_socket_also_if_an_earlier_run_has_left_one(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    for _ in range(2):
        with running_server(UNIX_SOCKET=str(path), TRUSTED_PROXIES="*") as server:
            assert server.address == f"unix:{path}"
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), timeout=30) as client:
                headers = {"X-Forwarded-For": "192.0.2.7"}
                files = {"image": ("photo.png", picture())}
                assert client.post("http://localhost/intensity", files=files, headers=headers).status_code == 200
            assert server.interrupt() == 0
            [line] = [json.loads(line) for line in server.output("out").splitlines()[1:]]
            assert line["extra_info"]["ip"] == "192.0.2.7"


def test_a_file_in_the_place_of_a_unix_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    assert "UNIX_SOCKET" in cannot_start(tmp_path, UNIX_SOCKET=str(tmp_path / "notes"))
    assert (tmp_path / "notes").read_text() == "mine"


def ipv6() -> socket.socket:
    """A server that listens by IPv6 only, as AirPlay does on a Mac beside IPv4."""
    try:
        return socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        missing("IPv6")


def test_where_another_program_answers_at_localhost_it_says_how_to_choose_another_port(tmp_path: Path) -> None:
    with ipv6() as other:
        told = cannot_start(tmp_path, PORT=str(other.getsockname()[1]))
    assert "another program answers at http://localhost:" in told
    assert "PORT=5001 make run" in told


def test_an_address_of_ipv6_is_printed_as_browsers_take_it() -> None:
    ipv6().close()
    with running_server(HOST="::1") as server:
        assert httpx.get(f"{server.address}/health").status_code == 200


def test_ctrl_c_lets_a_request_under_way_finish() -> None:
    content = black(7000)
    body = b"--b\r\nContent-Disposition: form-data; name=image; filename=a\r\n\r\n" + content + b"\r\n--b--\r\n"
    head = f"POST /intensity HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    with running_server() as server:
        with socket.create_connection(("127.0.0.1", int(server.address.rpartition(":")[2])), timeout=20) as client:
            client.sendall(head.encode() + b"Content-Type: multipart/form-data; boundary=b\r\n\r\n" + body)
            # When this one is answered, the other one is being measured.
            httpx.get(f"{server.address}/health")
            assert server.interrupt() == 0
            received = client.recv(65_536)
        assert received.startswith(b"HTTP/1.1 200 ")
        assert server.output("err") == ""


def test_ctrl_c_waits_for_no_upload_that_does_not_go_on() -> None:
    head = b"POST /intensity HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
    with running_server() as server:
        with socket.create_connection(("127.0.0.1", int(server.address.rpartition(":")[2]))) as half:
            half.sendall(head + b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n")
            httpx.get(f"{server.address}/health")
            begun = time.monotonic()
            assert server.interrupt() == 0
            # Its sender is not waited for any longer than while the server runs.
            assert time.monotonic() - begun < 30
        assert server.output("err") == ""


def test_a_secret_file_is_made_by_the_first_start_and_kept(tmp_path: Path) -> None:
    file, port = tmp_path / "key", str(free_port())
    for _ in range(2):
        # The port can be had again at once.
        with running_server(PORT=port, SECRET_KEY_FILE=str(file), APP_ENV="production") as server:
            assert server.address == f"http://localhost:{port}"
            assert upload(server.address, picture()).status_code == 200
            secret = file.read_text()
            assert server.interrupt() == 0
    assert len(secret) >= 32
    assert file.read_text() == secret
    assert file.stat().st_mode & 0o077 == 0


def test_reload_serves_what_was_changed(tmp_path: Path) -> None:
    """The server runs a copy of the code, and the test changes the copy."""
    copy = tmp_path / "copy"
    for folder in ("core", "functions", "infra/local", "layers", "static_site"):
        shutil.copytree(REPOSITORY / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    roots = ("core", "functions/gateway", "functions/processor", "infra/local", "layers/contract")
    with running_server(RELOAD="1", PYTHONPATH=os.pathsep.join(str(copy / root) for root in roots)) as server:
        # uvicorn listens a moment after the address was printed.
        wait_for(lambda: answers(server.address))
        assert upload(server.address, picture()).status_code == 200
        # The new file needs another modification time, and the server checks a few times a second.
        time.sleep(0.5)
        version = copy / "core/image_intensity/__init__.py"
        version.write_text(version.read_text() + '\n__version__ = "changed"\n')
        wait_for(lambda: answers(server.address) == "changed")
        assert server.interrupt() == 0
        assert "Traceback" not in server.output("err")


def hostile() -> list[bytes]:
    """Files of which each is refused, or is at a limit."""
    jpeg = picture((800, 600), "JPEG")
    random = b"\x89PNG\r\n\x1a\n" + np.random.default_rng(1).bytes(100_000)
    return [jpeg[:-20_000], jpeg[:-20_000] + b"\xff\xd9", bytes(5_242_881), bytes(40_000_000), black(20_000), random]


def peak_memory(process: subprocess.Popen[bytes]) -> int:
    """The most memory that a process has had in use (bytes)."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        missing("/proc")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    assert found
    return int(found[1]) * 1024


def test_hostile_files_at_once_leave_the_memory_under_a_gigabyte_and_the_server_at_work() -> None:
    with running_server() as server:
        peak_memory(server.process)
        threads = [threading.Thread(target=upload, args=[server.address, content]) for content in hostile() * 3]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        content = picture()
        expected = float(np.asarray(Image.open(BytesIO(content)).convert("L")).mean())
        assert upload(server.address, content).json()["average_intensity"] == expected
        assert peak_memory(server.process) < GIGABYTE
        assert "Traceback" not in server.output("err") + server.output("out")


def test_a_start_removes_what_an_earlier_removal_has_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / f"{start.PREFIX}left"
    left.mkdir()
    new = start.private_folder()
    assert list(tmp_path.iterdir()) == [new]
