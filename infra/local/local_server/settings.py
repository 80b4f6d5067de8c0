"""The settings of the local run: the gateway's, and where to listen."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from gateway.settings import Settings, split


class LocalSettings(Settings):
    """The settings. Each environment variable has the field's name in capitals; docs/settings.md has the table."""

    host: str = "127.0.0.1"
    port: int = Field(5000, ge=0, le=65535)
    processor_endpoints: Annotated[tuple[str, ...], BeforeValidator(split)] = ()
    ministack: str = ""
    reload: bool = False
