"""All settings of the gateway: environment variables, validated once at the start."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from image_intensity import DEFAULT_FORMATS, ImageFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

# Earlier versions signed with it when there was no other. Everybody can read it here.
KNOWN_SECRET_KEY = "development-only"  # noqa: S105 - it is refused


class SettingsError(Exception):
    """A setting has a value that cannot work. The message is one line that names the setting."""


def split(value: object) -> object:
    """Turn the text `PNG, JPEG` into a list. Leave everything that is not text as it is."""
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


# As a browser sends it: scheme://host[:port]. Another, for example with a slash at the end, would never match.
Origin = Annotated[str, Field(pattern=r"^(\*|https?://[^*/]+)$")]


class Settings(BaseModel):
    """The settings. The name of the environment variable is the field's name in capitals, or the alias of the field.

    docs/settings.md has the table.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, alias_generator=str.upper)

    app_env: Literal["development", "testing", "production"] = Field(
        "development", validation_alias=AliasChoices("APP_ENV", "FLASK_ENV")
    )
    # It comes after app_env, because its validator needs app_env.
    secret_key: SecretStr = Field(SecretStr(""), validate_default=True)
    # 5 MB: the Flask service that this one replaces had the same.
    max_content_length: int = Field(5_242_880, ge=1)
    allowed_image_formats: Annotated[
        tuple[ImageFormat, ...], BeforeValidator(lambda value: split(upper(value))), Field(min_length=1)
    ] = DEFAULT_FORMATS
    # Above the sensors in common use: 50 MP phones, 61 MP full frame. docs/decisions/limits.md has the memory it costs.
    max_image_pixels: int = Field(64_000_000, ge=1)
    redis_host: str = ""
    redis_port: int = Field(6379, ge=1, le=65535)
    redis_tls: bool = False
    redis_cluster: bool = False
    redis_username: str | None = None
    redis_password: SecretStr | None = None
    cache_ttl_seconds: int = Field(86_400, ge=0, le=10 * 365 * 86_400)
    refusal_ttl_seconds: int = Field(600, ge=0, le=10 * 365 * 86_400)
    allowed_origins: Annotated[tuple[Origin, ...], BeforeValidator(split), Field(min_length=1)] = ("*",)
    origin_secret: SecretStr | None = None
    # It comes after origin_secret, because its validator needs it.
    direct_access: bool = Field(default=True, validate_default=True)
    processor_function_name: str = "image-intensity-processor"
    upload_bucket: str = ""
    # The processor's memory is chosen for these (docs/decisions/limits.md).
    max_upload_bytes: int = Field(100_000_000, ge=1)
    max_upload_pixels: int = Field(200_000_000, ge=1)
    # What their memory is enough for, the workers know: 10 GB on AWS (docs/decisions/image-jobs.md). S3 takes 5 GiB at
    # most in a form. https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
    max_job_bytes: int = Field(2_000_000_000, ge=1, le=5_368_709_120)
    max_job_pixels: int = Field(1_000_000_000, ge=1)
    job_function_name: str = ""
    job_table: str = ""
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
        BeforeValidator(upper),
        Field(validation_alias="POWERTOOLS_LOG_LEVEL"),
    ] = "INFO"
    service_name: str = Field("image-intensity", validation_alias="POWERTOOLS_SERVICE_NAME")

    @field_validator("secret_key")
    @classmethod
    def real_secret(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        """Return the secret, or in development a new one if there is none: what it signs is valid until the end."""
        secret = value.get_secret_value()
        if secret == KNOWN_SECRET_KEY or (not secret and info.data.get("app_env") != "development"):
            message = "a secret of your own is required" + ("" if secret else " unless APP_ENV is development")
            raise ValueError(message)
        return value if secret else SecretStr(secrets.token_hex())

    @field_validator("direct_access")
    @classmethod
    def another_way(cls, value: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic's signature
        """Refuse to refuse everybody: without a secret, nobody is known to come through CloudFront."""
        if not value and not info.data.get("origin_secret"):
            message = "false needs ORIGIN_SECRET, which CloudFront sends"
            raise ValueError(message)
        return value

    @field_validator("redis_host")
    @classmethod
    def bare_host(cls, value: str) -> str:
        """Refuse an address with a scheme or a port: it would never be found, and the service would have no cache."""
        if "/" in value or value.count(":") == 1:
            message = "a host name or an IP address, without scheme and port"
            raise ValueError(message)
        return value

    @classmethod
    def load(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings from environment variables. An empty variable counts as not set.

        Raises SettingsError: one line that names every wrong setting, without the values, which may be secrets.
        """
        given: dict[str, Any] = {name: value.strip() for name, value in environment.items() if value.strip()}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            # A list has an error for each item. An error of a default has the name of the field.
            reasons = {str(item["loc"][0]).upper(): item["msg"] for item in error.errors()}
            lines = [f"{name}: {reason.removeprefix('Value error, ')}" for name, reason in reasons.items()]
            raise SettingsError("; ".join(lines)) from None
