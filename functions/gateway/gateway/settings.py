"""All settings of the gateway: environment variables, validated once at the start."""

from __future__ import annotations

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

from image_intensity import ImageFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

# The promised size of an upload, 5 MB: the Flask service that this one replaces had the same.
DEFAULT_MAX_CONTENT_LENGTH = 5_242_880
# Above the sensors in common use (50 MP phones, 61 MP full frame). docs/decisions/limits.md has the memory it costs.
DEFAULT_MAX_IMAGE_PIXELS = 64_000_000
# Files that go to S3 first. The processor's memory is chosen for these (docs/decisions/limits.md).
DEFAULT_MAX_UPLOAD_BYTES = 100_000_000
DEFAULT_MAX_UPLOAD_PIXELS = 200_000_000

DEVELOPMENT_SECRET_KEY = "development-only"  # noqa: S105 - refused outside development


class SettingsError(Exception):
    """A setting has a value that cannot work. The message is one line that names the setting."""


def split(value: object) -> object:
    """Turn the text `PNG, JPEG` into a list. Leave everything that is not text as it is."""
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def upper(value: object) -> object:
    """Turn text into capitals: the case of formats and log levels does not matter."""
    return value.upper() if isinstance(value, str) else value


class Settings(BaseModel):
    """The settings. The name of the environment variable is the field's name in capitals, or the alias of the field.

    docs/settings.md has the table.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, alias_generator=str.upper)

    app_env: Literal["development", "testing", "production"] = Field(
        "development", validation_alias=AliasChoices("APP_ENV", "FLASK_ENV")
    )
    # It comes after app_env, because its validator needs app_env.
    secret_key: SecretStr = Field(SecretStr(DEVELOPMENT_SECRET_KEY), validate_default=True)
    max_content_length: int = Field(DEFAULT_MAX_CONTENT_LENGTH, ge=1)
    allowed_image_formats: Annotated[
        tuple[ImageFormat, ...], BeforeValidator(lambda value: split(upper(value))), Field(min_length=1)
    ] = ("PNG", "JPEG")
    max_image_pixels: int = Field(DEFAULT_MAX_IMAGE_PIXELS, ge=1)
    redis_host: str = ""
    redis_port: int = Field(6379, ge=1, le=65535)
    redis_tls: bool = False
    redis_cluster: bool = False
    redis_username: str | None = None
    redis_password: SecretStr | None = None
    cache_ttl_seconds: int = Field(86_400, ge=0, le=10 * 365 * 86_400)
    refusal_ttl_seconds: int = Field(600, ge=0, le=10 * 365 * 86_400)
    allowed_origins: Annotated[tuple[str, ...], BeforeValidator(split), Field(min_length=1)] = ("*",)
    processor_function_name: str = "image-intensity-processor"
    upload_bucket: str = ""
    max_upload_bytes: int = Field(DEFAULT_MAX_UPLOAD_BYTES, ge=1)
    max_upload_pixels: int = Field(DEFAULT_MAX_UPLOAD_PIXELS, ge=1)
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
        BeforeValidator(upper),
        Field(validation_alias="POWERTOOLS_LOG_LEVEL"),
    ] = "INFO"
    service_name: str = Field("image-intensity", validation_alias="POWERTOOLS_SERVICE_NAME")

    @field_validator("secret_key")
    @classmethod
    def real_secret(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        """Refuse the default outside development: everybody knows it and could sign upload tickets with it."""
        if value.get_secret_value() == DEVELOPMENT_SECRET_KEY and info.data.get("app_env") != "development":
            message = "a secret of your own is required unless APP_ENV is development"
            raise ValueError(message)
        return value

    @field_validator("allowed_origins")
    @classmethod
    def origins(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse what a browser never sends as an origin, for example with a slash at the end: it would never match."""
        for value in values:
            scheme, _, host = value.partition("://")
            if value != "*" and (scheme not in {"http", "https"} or not host or set("*/") & set(host)):
                message = "an origin is * or scheme://host[:port], without a path or a wildcard"
                raise ValueError(message)
        return values

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
