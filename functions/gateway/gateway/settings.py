"""Every setting of the gateway, from environment variables, validated once at start."""

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
    """A setting has a value that cannot work; the message is one line that names it."""


def split(value: object) -> object:
    """Turn `PNG, JPEG` into a list; leave anything that is not text as it is."""
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def upper(value: object) -> object:
    """Format names and log levels are the same in either case."""
    return value.upper() if isinstance(value, str) else value


class Settings(BaseModel):
    """The settings, each under the name of its environment variable; README has the table."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    app_env: Annotated[
        Literal["development", "testing", "production"],
        Field("development", validation_alias=AliasChoices("APP_ENV", "FLASK_ENV")),
    ]
    # First the environment, then the secret: its validator looks at the environment.
    secret_key: Annotated[
        SecretStr, Field(SecretStr(DEVELOPMENT_SECRET_KEY), validation_alias="SECRET_KEY", validate_default=True)
    ]
    max_content_length: Annotated[int, Field(DEFAULT_MAX_CONTENT_LENGTH, validation_alias="MAX_CONTENT_LENGTH", ge=1)]
    allowed_image_formats: Annotated[
        tuple[ImageFormat, ...],
        BeforeValidator(lambda value: split(upper(value))),
        Field(("PNG", "JPEG"), validation_alias="ALLOWED_IMAGE_FORMATS", min_length=1),
    ]
    max_image_pixels: Annotated[int, Field(DEFAULT_MAX_IMAGE_PIXELS, validation_alias="MAX_IMAGE_PIXELS", ge=1)]
    redis_host: Annotated[str, Field("", validation_alias="REDIS_HOST")]
    redis_port: Annotated[int, Field(6379, validation_alias="REDIS_PORT", ge=1, le=65535)]
    redis_tls: Annotated[bool, Field(default=False, validation_alias="REDIS_TLS")]
    redis_cluster: Annotated[bool, Field(default=False, validation_alias="REDIS_CLUSTER")]
    redis_username: Annotated[str | None, Field(None, validation_alias="REDIS_USERNAME")]
    redis_password: Annotated[SecretStr | None, Field(None, validation_alias="REDIS_PASSWORD")]
    cache_ttl_seconds: Annotated[int, Field(86_400, validation_alias="CACHE_TTL_SECONDS", ge=0, le=10 * 365 * 86_400)]
    allowed_origins: Annotated[
        tuple[str, ...], BeforeValidator(split), Field(("*",), validation_alias="ALLOWED_ORIGINS", min_length=1)
    ]
    processor_function_name: Annotated[
        str, Field("image-intensity-processor", validation_alias="PROCESSOR_FUNCTION_NAME")
    ]
    upload_bucket: Annotated[str, Field("", validation_alias="UPLOAD_BUCKET")]
    max_upload_bytes: Annotated[int, Field(DEFAULT_MAX_UPLOAD_BYTES, validation_alias="MAX_UPLOAD_BYTES", ge=1)]
    max_upload_pixels: Annotated[int, Field(DEFAULT_MAX_UPLOAD_PIXELS, validation_alias="MAX_UPLOAD_PIXELS", ge=1)]
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
        BeforeValidator(upper),
        Field("INFO", validation_alias="POWERTOOLS_LOG_LEVEL"),
    ]
    service_name: Annotated[str, Field("image-intensity", validation_alias="POWERTOOLS_SERVICE_NAME")]

    def max_pixels(self, *, stored: bool) -> int:
        """Return the most pixels of an image that comes with the request, or that was uploaded before."""
        return self.max_upload_pixels if stored else self.max_image_pixels

    @field_validator("secret_key")
    @classmethod
    def real_secret(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        """Refuse the default outside development: with it anyone could sign an upload ticket."""
        if value.get_secret_value() == DEVELOPMENT_SECRET_KEY and info.data.get("app_env") != "development":
            message = "a secret of your own is required unless APP_ENV is development"
            raise ValueError(message)
        return value

    @field_validator("allowed_origins")
    @classmethod
    def origins(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse what no browser sends as its origin, such as a trailing slash: it would never match."""
        for value in values:
            scheme, _, host = value.partition("://")
            if value != "*" and (scheme not in {"http", "https"} or not host or set("*/") & set(host)):
                message = "an origin is * or scheme://host[:port], without a path or a wildcard"
                raise ValueError(message)
        return values

    @field_validator("redis_host")
    @classmethod
    def bare_host(cls, value: str) -> str:
        """Refuse an address with a scheme or a port: no name server knows it, and the cache would be off in silence."""
        if "/" in value or value.count(":") == 1:
            message = "a host name or an IP address, without scheme and port"
            raise ValueError(message)
        return value

    @classmethod
    def load(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings from environment variables; an empty one counts as not set.

        Raises SettingsError: one line that names every setting with a wrong value, and no value that may be a secret.
        """
        given: dict[str, Any] = {name: value.strip() for name, value in environment.items() if value.strip()}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            # A list has an error for each of its items, a setting that is not there has the name of its field.
            reasons = {str(item["loc"][0]).upper(): item["msg"] for item in error.errors()}
            lines = [f"{name}: {reason.removeprefix('Value error, ')}" for name, reason in reasons.items()]
            raise SettingsError("; ".join(lines)) from None
