"""What a request costs beside decoding: the Lambda handlers on REST API events in one process, and a Redis beside it.

`python -m tests.bench.request [BYTES ...]` prints, for JPEGs of 12 megapixels and 100 KB, 1 MB and 4.3 MB, the median
time of a hit and of a miss without the processor's measuring, and both as shares of measuring that file. "JSON" is what
Lambda's own runtime does around the two handlers, parsing events and writing answers: our code cannot replace it.
All times are processor time of all threads, in milliseconds. So other work of the machine hardly changes them, and the
Redis server does not count.
"""

from __future__ import annotations

import io
import json
import os
import re
import statistics
import sys
import time
from base64 import b64encode
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

import processor.handler
from gateway.app import create_app
from gateway.http.rest_api import adapt
from gateway.log import make_logger
from gateway.measuring.cache import make_cache
from gateway.measuring.processor_client import LambdaProcessor, make_lambda_client
from gateway.settings import Settings
from tests.bench.__main__ import ours
from tests.bench.images import encode, photo
from tests.core.samples import measured
from tests.gateway.redis_server import redis_server

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = int(os.environ.get("ROUNDS", "9"))
EVENT = json.loads((Path(__file__).parents[1] / "events/post_image.json").read_text())
# As long as a browser's: a long boundary is found sooner.
BOUNDARY = "----WebKitFormBoundary7MA4YWxkTrZu0gW"
# What the template sets for the C library, which reads it when a process starts.
ALLOCATOR = dict(re.findall(r'(MALLOC_\w+): "(\d+)"', (Path(__file__).parents[2] / "template.yaml").read_text()))
SIZE = (4000, 3000)
COLUMNS = ["file, KB", "measuring, ms"]
COLUMNS += [f"{name}{part}" for name in ("hit", "miss") for part in (", ms", ", JSON, ms", "", " without JSON")]


class Runtime:
    """Lambda's runtime: JSON to a handler and from it. `seconds` it took for that since it was last asked.

    AWS's uses simplejson, which was measured to take as long as the standard library.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    def call(self, handler: Callable[[Any, Any], Any], event: bytes) -> bytes:
        begun = time.process_time()
        content = json.loads(event)
        called = time.process_time()
        answer = handler(content, None)
        answered = time.process_time()
        text = json.dumps(answer).encode()
        self.seconds += called - begun + time.process_time() - answered
        return text

    def take(self) -> float:
        seconds, self.seconds = self.seconds, 0.0
        return seconds


def jpeg(size: int) -> bytes:
    """A JPEG of 12 megapixels and `size` bytes, the last of them behind its end, where decoders do not look."""
    smooth = photo(SIZE[0] // 8, SIZE[1] // 8).resize(SIZE)
    image, quality = {100_000: (smooth, 5), 1_000_000: (photo(*SIZE), 35), 4_300_000: (photo(*SIZE), 95)}[size]
    data = encode(image, "JPEG", quality=quality, optimize=True)
    assert size / 2 < len(data) <= size, len(data)
    return data + np.random.default_rng(1).bytes(size - len(data))


def post(data: bytes) -> bytes:
    """The event that API Gateway makes of an upload, as JSON."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    body = head.encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()
    headers = {**EVENT["headers"], "Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    multi = {name: [value] for name, value in headers.items()}
    changes = {
        "body": b64encode(body).decode(),
        "isBase64Encoded": True,
        "headers": headers,
        "multiValueHeaders": multi,
    }
    return json.dumps(EVENT | changes).encode()


def main() -> None:
    """Print the table."""
    os.environ |= {"AWS_DEFAULT_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
    os.environ["POWERTOOLS_METRICS_DISABLED"] = "true"
    with TemporaryDirectory() as folder, redis_server(Path(folder)) as server, server.connect() as redis:
        report(Settings.load({"POWERTOOLS_LOG_LEVEL": "ERROR", **server.address}), redis.flushall)


def report(settings: Settings, forget: Callable[[], object]) -> None:
    """Print the table. `forget` empties the cache that the settings name."""
    logger, runtime, client = make_logger(settings), Runtime(), make_lambda_client()

    def invoke(request: Any, **_: object) -> Any:  # noqa: ANN401 - botocore's, which says None
        # It replaces the network only: everything that botocore does, signing too, is part of a miss.
        # The processor's log lines would be in the middle of the table.
        with redirect_stdout(io.StringIO()):
            answer = runtime.call(processor.handler.lambda_handler, request.body)
        return AWSResponse(request.url, 200, HTTPHeaders(), io.BytesIO(answer))

    client.meta.events.register("before-send.lambda.Invoke", invoke)
    app = create_app(
        settings,
        cache=make_cache(settings, logger),
        processor=LambdaProcessor(client, settings.processor_function_name, logger),
        logger=logger,
    )
    handler = adapt(app)
    print("|", " | ".join(COLUMNS), "|")  # noqa: T201 - a report
    print("|", " | ".join("---" for _ in COLUMNS), "|")  # noqa: T201
    for size in map(int, sys.argv[1:] or (100_000, 1_000_000, 4_300_000)):
        ms = median_ms(jpeg(size), lambda event: runtime.call(handler, event), runtime.take, forget)
        cells = [f"{size // 1000}", f"{ms['measure']:.1f}"]
        for name in ("hit", "miss"):
            parts = (ms[name], ms[name] - ms[f"{name} JSON"])
            share, without = (f"{part / ms['measure']:.0%}" for part in parts)
            cells += [f"{ms[name]:.1f}", f"{ms[f'{name} JSON']:.1f}", share, without]
        print("|", " | ".join(cells), "|", flush=True)  # noqa: T201 - a report


def median_ms(
    data: bytes, request: Callable[[bytes], bytes], json_seconds: Callable[[], float], forget: Callable[[], object]
) -> dict[str, float]:
    """The median milliseconds of measuring `data`, of a hit and of a miss, and of the JSON in them."""
    event, known = post(data), measured(data)

    times: dict[str, list[float]] = {name: [] for name in ("measure", "hit", "hit JSON", "miss", "miss JSON")}
    for _ in range(ROUNDS + 1):
        forget()
        for name in ("miss", "hit"):
            begun = time.process_time()
            with mock.patch("processor.handler.measure", return_value=known):
                answer = request(event)
            times[name].append(time.process_time() - begun)
            times[f"{name} JSON"].append(json_seconds())
            assert f'"x-cache": "{name}"'.encode() in answer, answer
        begun = time.process_time()
        ours(data)
        times["measure"].append(time.process_time() - begun)
    return {name: statistics.median(values[1:]) * 1e3 for name, values in times.items()}


if __name__ == "__main__":
    if not os.environ.keys() >= ALLOCATOR.keys():
        os.execve(sys.executable, [sys.executable, "-m", "tests.bench.request", *sys.argv[1:]], os.environ | ALLOCATOR)  # noqa: S606
    main()
