"""A program that uploads a large image and has it measured, as docs/api.md shows it."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import httpx

TIMEOUT = 90
# `make e2e URL=... KEY=...`, for a service that wants an API key.
KEY = os.environ.get("E2E_KEY", "")
CREDENTIALS = {"X-API-Key": KEY} if KEY else {}


def announce(url: str, content: bytes, query: str = "", **different: object) -> httpx.Response:
    """Say what is to be uploaded to the service at `url`."""
    described = {
        "filename": "Foto ä.png",
        "size": len(content),
        "content_type": "image/png",
        "sha256": hashlib.sha256(content).hexdigest(),
        **different,
    }
    return httpx.post(f"{url}/uploads{query}", json=described, headers=CREDENTIALS, timeout=TIMEOUT)


def form_for(url: str, content: bytes) -> dict[str, Any]:
    """The form to upload `content`, which the service does not know."""
    response = announce(url, content)
    assert response.status_code == 201, response.text
    form: dict[str, Any] = response.json()
    assert form["known"] is False
    return form


def send(form: dict[str, Any], content: bytes, fields: dict[str, str] | None = None, **headers: str) -> httpx.Response:
    """Send `content` by the form of an upload, with other `fields` where a test wants it."""
    files = {"file": ("x", content)}
    return httpx.post(
        form["url"], data={**form["fields"], **(fields or {})}, files=files, headers=headers, timeout=TIMEOUT
    )


def redeem(url: str, ticket: str, query: str = "") -> httpx.Response:
    """Have measured what was uploaded."""
    return httpx.post(f"{url}/intensity{query}", json={"ticket": ticket}, headers=CREDENTIALS, timeout=TIMEOUT)


def upload(url: str, content: bytes) -> httpx.Response:
    """Upload `content` unless it is known, and have it measured."""
    form = announce(url, content).raise_for_status().json()
    if not form["known"]:
        send(form, content).raise_for_status()
    return redeem(url, form["ticket"])
