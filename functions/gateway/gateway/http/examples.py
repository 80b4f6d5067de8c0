"""Examples for the description of the API: whole answers, made by the code that makes the real ones."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

from contract.problems import PROBLEM_TYPES, ProblemCode
from gateway.http.answers import FullIntensity, Intensity, JobAnswer, JobProgress
from gateway.http.problems import problem_content
from gateway.measuring.outcome import Outcome, Report
from image_intensity import Measurement, Statistics

REQUEST_ID = "a1b2c3d4-e5f6-7890-1234-567890abcdef"
# A gray ramp: each of the 256 gray values has 1875 pixels.
RAMP = Measurement(
    average_intensity=127.5,
    image_format="PNG",
    image_size=(800, 600),
    original_mode="RGB",
    pixel_count=480_000,
    image_size_bytes=3772,
    statistics=Statistics(
        minimum=0.0,
        maximum=255.0,
        median=127.5,
        standard_deviation=73.90027063549903,
        percentiles={"1": 2.0, "5": 12.0, "25": 63.0, "75": 191.0, "95": 243.0, "99": 253.0},
        entropy=8.0,
        share_black=1 / 256,
        share_white=1 / 256,
    ),
    histogram=(1875,) * 256,
)
RAMP_SHA256 = "c7fa3894f1788ae5671f3bc9f795f63015733b27cd0364946ab8d6e762b84607"
SHA256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
SIGNED_FIELDS = {
    "Content-Type": "image/png",
    "x-amz-checksum-algorithm": "SHA256",
    "x-amz-checksum-sha256": "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
    "key": "uploads/0b0e1d5e-4f39-4dcb-8ba2-5d9f7c4d7c1e",
    "x-amz-algorithm": "AWS4-HMAC-SHA256",
    "x-amz-credential": "ASIAIOSFODNN7EXAMPLE/20261122/eu-central-1/s3/aws4_request",
    "x-amz-date": "20261122T120000Z",
}
POLICY = {
    "expiration": "2026-11-22T13:00:00Z",
    "conditions": [
        *({name: value} for name, value in SIGNED_FIELDS.items()),
        {"bucket": "image-intensity-uploads"},
        ["content-length-range", 24_000_000, 24_000_000],
    ],
}
TICKET = (
    ".eJyli0ESwiAQBP-y52BwgUjymyUsJpVAqFAe1PLvbvkF-zbTM2_Y-AkTPOp-UGy9sQPOlLQavY3KhsjKp-tNJc0uIBt08wgdpHXnQpnlWakcJ2W61HIX09"
    "aXtGj1D8kLoRtkR38Cny_meTe4.awhtfA.TaVoGMQRlVt2FyWWAiCEXFIHJQGSRbSTYqyjrNMMbIg"
)
UPLOAD: dict[str, Any] = {
    "known": False,
    "url": "https://image-intensity-uploads.s3.eu-central-1.amazonaws.com/",
    "fields": {
        **SIGNED_FIELDS,
        "policy": b64encode(json.dumps(POLICY).encode()).decode(),
        "x-amz-signature": "971865cf37e8f02d5b75436d4ed777647c0c7d498d9fa8b1748dbe96cdb18710",
    },
    "ticket": TICKET,
    "expires_at": "2026-11-22T13:00:00Z",
    "request_id": REQUEST_ID,
}
UPLOAD_REQUEST: dict[str, Any] = {
    "filename": "panorama.png",
    "size": 24_000_000,
    "content_type": "image/png",
    "sha256": SHA256,
}
JOB_ID = "Zr0mJbWcS3o7qk1XvQ9yTn4LdA8uHp2e"
HEALTH: dict[str, Any] = {
    "status": "ok",
    "version": "0.1.0",
    "limits": {
        "max_content_length": 4_600_000,
        "max_upload_bytes": 100_000_000,
        "allowed_image_formats": ["PNG", "JPEG"],
        "max_image_pixels": 64_000_000,
        "max_upload_pixels": 200_000_000,
        "max_job_bytes": 2_000_000_000,
        "max_job_pixels": 1_000_000_000,
    },
}
READY: dict[str, Any] = {"status": "ready", "cache": "ok", "processor": "ok"}


def problem(code: ProblemCode) -> dict[str, str | int]:
    """Return an answer with this problem."""
    return problem_content(code, PROBLEM_TYPES[code].detail, REQUEST_ID)


def intensity() -> dict[str, Any]:
    """Return the answer for the ramp."""
    return Intensity.of(RAMP, filename="ramp.png", duration_ms=25.512, request_id=REQUEST_ID).model_dump(mode="json")


def full_intensity() -> dict[str, Any]:
    """Return the answer for the ramp with `detail=full`."""
    outcome = Outcome(Report(), RAMP, RAMP_SHA256)
    return FullIntensity.extending(Intensity.model_validate(intensity()), outcome).model_dump(mode="json")


def job() -> dict[str, Any]:
    """Return the answer for a job that a worker has begun."""
    progress = JobProgress(step="reading", share=0.25)
    answer = JobAnswer(id=JOB_ID, status="running", progress=progress, result=None, request_id=REQUEST_ID)
    return answer.model_dump(mode="json")
