"""The settings of the local run: the gateway's, and where to listen."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from gateway.settings import Settings, split


class LocalSettings(Settings):
    """The settings, each under the name of its environment variable; README has the table."""

    host: Annotated[str, Field("127.0.0.1", validation_alias="HOST")]
    port: Annotated[int, Field(5000, validation_alias="PORT", ge=0, le=65535)]
    processor_endpoints: Annotated[
        tuple[str, ...], BeforeValidator(split), Field((), validation_alias="PROCESSOR_ENDPOINTS")
    ]
    ministack: Annotated[str, Field("", validation_alias="MINISTACK")]
    reload: Annotated[bool, Field(default=False, validation_alias="RELOAD")]
