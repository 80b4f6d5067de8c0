"""A store that speaks as much of S3's protocol as listing and reading take, and does what no sound store does."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BUCKET = "photos"
ETAG = "e" * 32
ERROR = "<Error><Code>{code}</Code><Message>As the test wants it.</Message></Error>"


class Answers(BaseHTTPRequestHandler):
    """Answers requests of boto3."""

    server: Store
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if "list-type" in address.query:
            self.send(200, self.server.listing())
            return
        key = unquote(address.path).removeprefix(f"/{BUCKET}/")
        self.server.asked[key] += 1
        answer = self.server.answer(key)
        if answer is None:
            # Without an answer, until the store is closed.
            self.server.closing.wait()
            self.close_connection = True
        elif isinstance(answer, tuple):
            status, code = answer
            self.send(status, ERROR.format(code=code).encode())
        else:
            self.send(200, answer, len(self.server.objects[key]))

    def send(self, status: int, body: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("ETag", f'"{ETAG}"')
        self.end_headers()
        self.wfile.write(body)
        # A body that is shorter than promised breaks off.
        self.close_connection = length not in {None, len(body)}

    def log_message(self, *_: object) -> None:
        """Print nothing."""


class Store(ThreadingHTTPServer):
    """objects: what is listed, by key. answer: what a GET of a key gives.

    An answer is the body, perhaps a part of it; a status and a code of S3; or None for silence. asked: how often each
    key was.
    """

    daemon_threads = True

    def __init__(self, objects: dict[str, bytes], answer: Callable[[str], bytes | tuple[int, str] | None]) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.objects, self.answer = objects, answer
        self.asked: Counter[str] = Counter()
        self.closing = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def listing(self) -> bytes:
        entries = (
            f"<Contents><Key>{key}</Key><Size>{len(data)}</Size><ETag>&quot;{ETAG}&quot;</ETag></Contents>"
            for key, data in sorted(self.objects.items())
        )
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{''.join(entries)}</ListBucketResult>".encode()


@contextmanager
def faulty_store(objects: dict[str, bytes], answer: Callable[[str], bytes | tuple[int, str] | None]) -> Iterator[Store]:
    """Run a store."""
    with Store(objects, answer) as store:
        thread = threading.Thread(target=store.serve_forever, args=[0.01])
        thread.start()
        try:
            yield store
        finally:
            store.closing.set()
            store.shutdown()
            thread.join()
