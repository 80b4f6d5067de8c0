"""What a request costs beside decoding: the Lambda handlers on REST API events, in one process and without the network.

`python -m tests.bench.request` prints, for files of 100 KB, 1 MB and 4.3 MB, the median milliseconds of a hit and of a
miss without the processor's measuring, and both as shares of measuring a JPEG of 12 megapixels.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import time
from base64 import b64encode
from dataclasses import asdict
from pathlib import Path
from typing import Any

import fakeredis
from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

from gateway.app import create_app
from gateway.cache import RedisCache
from gateway.log import make_logger
from gateway.processor_client import LambdaProcessor
from gateway.settings import Settings
from processor.handler import lambda_handler
from tests.bench.__main__ import ours
from tests.bench.images import encode, photo
from tests.processor.samples import measured

ROUNDS = int(os.environ.get("ROUNDS", "9"))
EVENT = json.loads((Path(__file__).parents[1] / "events/post_image.json").read_text())
BOUNDARY = "boundary"


class LocalLambda:
    """Invokes the processor's handler through JSON, as Lambda does; `known` answers at once, to time all the rest."""

    def __init__(self) -> None:
        self.known: dict[str, Any] | None = None

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: ARG002, N803 - boto3's
        event = json.loads(Payload)
        return {"Payload": io.BytesIO(json.dumps(self.known or lambda_handler(event, None)).encode())}


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
    os.environ["POWERTOOLS_METRICS_DISABLED"] = "true"
    settings = Settings.load({"POWERTOOLS_LOG_LEVEL": "ERROR"})
    logger = make_logger(settings)
    redis, function = fakeredis.FakeRedis(), LocalLambda()
    redis.get("")
    app = create_app(
        settings,
        cache=RedisCache(lambda: redis, 60, logger),
        processor=LambdaProcessor(function, settings, logger),  # type: ignore[arg-type]
        logger=logger,
    )
    handler = Mangum(app, lifespan="off", text_mime_types=[*DEFAULT_TEXT_MIME_TYPES, "application/problem+json"])
    print("| file, KB | hit, ms | miss without measuring, ms | measuring 12 MP, ms | hit | miss |")  # noqa: T201
    print("| --- | --- | --- | --- | --- | --- |")  # noqa: T201 - a report
    for quality, size in ((20, 100_000), (60, 1_000_000), (90, 4_300_000)):
        photograph = encode(photo(4000, 3000), "JPEG", quality=quality)
        # What a JPEG decoder passes over, so that the file has just the size.
        data = (photograph + bytes(size))[:size] if len(photograph) < size else encode(photo(640, 480), "JPEG")
        data = (data + bytes(size))[:size]
        function.known = {"measurement": asdict(measured(data))}
        event = post(data)
        times: dict[str, list[float]] = {"miss": [], "hit": [], "measure": []}
        for _ in range(ROUNDS + 1):
            redis.flushall()
            for name in ("miss", "hit"):
                begun = time.perf_counter()
                answer = json.dumps(handler(json.loads(event), None))  # type: ignore[arg-type]
                times[name].append(time.perf_counter() - begun)
                assert f'"x-cache": "{name}"' in answer, answer
            begun = time.perf_counter()
            ours(photograph)
            times["measure"].append(time.perf_counter() - begun)
        hit, miss, measure = (statistics.median(times[name][1:]) * 1e3 for name in ("hit", "miss", "measure"))
        cells = f"{size // 1000} | {hit:.1f} | {miss:.1f} | {measure:.1f} | {hit / measure:.0%} | {miss / measure:.0%}"
        print(f"| {cells} |", flush=True)  # noqa: T201 - a report


if __name__ == "__main__":
    main()
