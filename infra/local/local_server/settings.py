"""The settings of the local run: the gateway's, and where and how to serve."""

from __future__ import annotations

import secrets
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from gateway.settings import Settings, SettingsError, split

if TYPE_CHECKING:
    from collections.abc import Mapping

REPOSITORY = Path(__file__).parents[3]
# The variable with the private folder of the run, which its start has made.
FOLDER = "IMAGE_INTENSITY_RUN"
# No limit.
OFF = "0"
# What one address may do in production if the setting does not say it. The page sends a few images at a time.
ADDRESS_IN_PRODUCTION = "20/second"


class LocalSettings(Settings):
    """The settings. Each environment variable has the field's name in capitals; docs/settings.md has the table."""

    host: str = "127.0.0.1"
    port: int = Field(5000, ge=0, le=65535)
    unix_socket: str = ""
    allowed_hosts: Annotated[tuple[str, ...], BeforeValidator(split)] = ()
    workers: int = Field(0, ge=0, le=256)
    secret_key_file: str = ""
    # The SHA-256 of each. A comma alone would let everybody in.
    api_keys: Annotated[
        tuple[Annotated[str, Field(pattern="^[0-9A-Fa-f]{64}$")], ...], BeforeValidator(split), Field(min_length=1)
    ] = ()
    rate_limit_per_key: str = "10/second;10000/day"
    rate_limit_per_address: str = Field("", validate_default=True)
    trusted_proxies: Annotated[tuple[str, ...], BeforeValidator(split)] = ()
    processor_endpoints: Annotated[tuple[str, ...], BeforeValidator(split)] = ()
    job_endpoint: str = ""
    reload: bool = False

    @field_validator("trusted_proxies")
    @classmethod
    def proxies(cls, values: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """Refuse addresses where nobody has one: no proxy would be believed, and all clients would share one limit."""
        if info.data.get("unix_socket") and values not in {(), ("*",)}:
            message = "who connects to UNIX_SOCKET has no address, so only * can be trusted"
            raise ValueError(message)
        return values

    @field_validator("rate_limit_per_key", "rate_limit_per_address")
    @classmethod
    def rates(cls, value: str, info: ValidationInfo) -> str:
        """Refuse what is not a limit. Without one for addresses, `APP_ENV` decides."""
        value = value or (ADDRESS_IN_PRODUCTION if info.data.get("app_env") == "production" else OFF)
        if value == OFF:
            return OFF
        # Not at the top of the file: the library takes 80 ms, and most runs have no limits.
        from local_server.rate_limits import parse_rates  # noqa: PLC0415

        try:
            parse_rates(value)
        except ValueError:
            message = f"a limit is written as 10/second or 10/second;10000/day, and {OFF} is none"
            raise ValueError(message) from None
        return value

    @property
    def hosts(self) -> tuple[str, ...] | None:
        """The names that the header Host may have, besides those of the loopback interface; None: any."""
        anyone = not self.allowed_hosts and not is_loopback(self.host)
        return None if anyone or "*" in self.allowed_hosts else self.allowed_hosts

    @classmethod
    def load(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings. SECRET_KEY may be in a file, which the first start makes. Raises SettingsError."""
        file = environment.get("SECRET_KEY_FILE", "").strip()
        if file and not environment.get("SECRET_KEY", "").strip():
            environment = {**environment, "SECRET_KEY": kept_secret(Path(file))}
        return super().load(environment)


def is_loopback(host: str) -> bool:
    """Return whether a host, by name or address, is this machine for every browser."""
    name = host.lower().removesuffix(".").strip("[]")
    with suppress(ValueError):
        return ip_address(name).is_loopback
    return name == "localhost" or name.endswith(".localhost")


def kept_secret(file: Path) -> str:
    """Return the secret in `file`; if there is no such file, make it with a random one. Raises SettingsError."""
    try:
        if not file.exists():
            # A start that is killed here leaves no half of a secret.
            new = file.with_name(f"{file.name}.new")
            new.touch(mode=0o600)
            new.write_text(secrets.token_hex())
            new.replace(file)
        return file.read_text().strip()
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"SECRET_KEY_FILE: {error}") from error
