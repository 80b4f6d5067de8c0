"""Settings: every variable, its default, its bounds, and errors that fit on one line."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from gateway.settings import Settings, SettingsError
from local_server.settings import LocalSettings
from tests.support import names, variables

# docs/settings.md has a table of them, and tests/test_house.py compares it with the settings.
OWN = {"SECRET_KEY": "own"}
DEFAULTS = Settings.load(OWN).model_dump()


def refused(environment: dict[str, str], settings: type[Settings] = Settings) -> str:
    """The error that this environment is refused with: always a single line."""
    with pytest.raises(SettingsError) as caught:
        settings.load(environment)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


def test_the_local_run_has_the_gateways_settings_and_where_to_listen() -> None:
    local: dict[str, object] = {"host": "127.0.0.1", "port": 5000, "allowed_hosts": (), "workers": 0}
    local |= {"secret_key_file": "", "processor_endpoints": (), "job_endpoint": "", "reload": False}
    local |= {"api_keys": (), "rate_limit_per_key": "10/second;10000/day", "rate_limit_per_address": "0"}
    local |= {"trusted_proxies": (), "unix_socket": ""}
    assert LocalSettings.load(OWN).model_dump() == {**DEFAULTS, **local}


@pytest.mark.parametrize(
    ("host", "allowed", "hosts"),
    [
        ("127.0.0.1", "", ()),
        ("localhost", "", ()),
        ("::1", "a.example, b.example", ("a.example", "b.example")),
        ("127.0.0.1", "*", None),
        ("0.0.0.0", "", None),
        ("::", "", None),
        ("192.168.0.1", "a.example", ("a.example",)),
        ("0.0.0.0", "localhost,*", None),
    ],
)
def test_only_on_the_loopback_interface_other_names_than_its_own_are_refused_by_themselves(
    host: str, allowed: str, hosts: tuple[str, ...] | None
) -> None:
    assert LocalSettings.load({"HOST": host, "ALLOWED_HOSTS": allowed}).hosts == hosts


def test_the_variable_of_a_setting_is_its_name_in_capitals_or_the_alias_of_the_field() -> None:
    others = {field: names(info) for field, info in Settings.model_fields.items() if names(info) != [field.upper()]}
    assert others == {
        "app_env": ["APP_ENV", "FLASK_ENV"],
        "log_level": ["POWERTOOLS_LOG_LEVEL"],
        "service_name": ["POWERTOOLS_SERVICE_NAME"],
    }


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("APP_ENV", "development", "app_env", "development"),
        ("MAX_CONTENT_LENGTH", "1", "max_content_length", 1),
        ("ALLOWED_IMAGE_FORMATS", "JPEG", "allowed_image_formats", ("JPEG",)),
        ("ALLOWED_IMAGE_FORMATS", " jpeg , png,", "allowed_image_formats", ("JPEG", "PNG")),
        ("MAX_IMAGE_PIXELS", "1", "max_image_pixels", 1),
        ("REDIS_HOST", " redis ", "redis_host", "redis"),
        ("REDIS_PORT", "1", "redis_port", 1),
        ("REDIS_PORT", "65535", "redis_port", 65535),
        ("ORIGIN_SECRET", "secret", "origin_secret", SecretStr("secret")),
        ("DIRECT_ACCESS", "on", "direct_access", True),
        ("REDIS_TLS", "true", "redis_tls", True),
        ("REDIS_TLS", "1", "redis_tls", True),
        ("REDIS_TLS", "false", "redis_tls", False),
        ("REDIS_CLUSTER", "True", "redis_cluster", True),
        ("REDIS_USERNAME", "someone", "redis_username", "someone"),
        ("REDIS_PASSWORD", "pass word", "redis_password", SecretStr("pass word")),
        ("CACHE_TTL_SECONDS", "0", "cache_ttl_seconds", 0),
        ("ALLOWED_ORIGINS", "https://a.example, http://localhost:8000", "allowed_origins",
         ("https://a.example", "http://localhost:8000")),
        ("PROCESSOR_FUNCTION_NAME", "other", "processor_function_name", "other"),
        ("UPLOAD_BUCKET", "bucket", "upload_bucket", "bucket"),
        ("MAX_UPLOAD_BYTES", "7000000", "max_upload_bytes", 7_000_000),
        ("MAX_UPLOAD_PIXELS", "1", "max_upload_pixels", 1),
        ("POWERTOOLS_LOG_LEVEL", "debug", "log_level", "DEBUG"),
        ("POWERTOOLS_SERVICE_NAME", "mine", "service_name", "mine"),
    ],
)  # fmt: skip
def test_a_variable_sets_its_field_and_no_other(variable: str, value: str, field: str, expected: object) -> None:
    assert Settings.load({**OWN, variable: value, "UNRELATED": "x"}).model_dump() == {**DEFAULTS, field: expected}


@pytest.mark.parametrize("variable", ["app_env", "secret_key", "redis_host", "max_content_length"])
def test_the_names_of_fields_are_not_variables(variable: str) -> None:
    assert Settings.load({**OWN, variable: "7"}).model_dump() == DEFAULTS


@pytest.mark.parametrize(
    ("variable", "values"),
    [
        ("APP_ENV", ["staging"]),
        ("FLASK_ENV", ["staging"]),
        ("MAX_CONTENT_LENGTH", ["0", "-5", "5MB", "1.5", "9" * 5000]),
        ("ALLOWED_IMAGE_FORMATS", ["PNG,GIF", ",", "A,B,C,D,E"]),
        ("MAX_IMAGE_PIXELS", ["0"]),
        ("REDIS_PORT", ["0", "65536"]),
        ("DIRECT_ACCESS", ["off"]),
        ("REDIS_TLS", ["maybe"]),
        ("REDIS_CLUSTER", ["2"]),
        ("CACHE_TTL_SECONDS", ["-1", "99999999999", "nan"]),
        ("ALLOWED_ORIGINS", [",", "page.example", "https://page.example/", "https://page.example/path"]),
        ("ALLOWED_ORIGINS", ["ftp://page.example", "https://", "https://*.page.example"]),
        ("REDIS_HOST", ["redis://localhost", "127.0.0.1:6379"]),
        ("POWERTOOLS_LOG_LEVEL", ["LOUD"]),
    ],
)
def test_a_value_that_cannot_work_is_one_line_that_names_its_variable(variable: str, values: list[str]) -> None:
    for value in values:
        reasons = refused({variable: value, "SECRET_KEY": "own"}).split("; ")
        assert [reason.partition(":")[0] for reason in reasons] == [variable], value


@pytest.mark.parametrize(("variable", "value"), [("PORT", "65536"), ("PORT", "-1"), ("PORT", "x"), ("RELOAD", "later")])
def test_the_local_runs_own_variables_are_checked_too(variable: str, value: str) -> None:
    assert refused({variable: value}, LocalSettings).startswith(f"{variable}:")


def test_every_wrong_value_is_named_at_once() -> None:
    message = refused({"REDIS_PORT": "x", "MAX_IMAGE_PIXELS": "y", "APP_ENV": "z"})
    assert all(name in message for name in ("REDIS_PORT:", "MAX_IMAGE_PIXELS:", "APP_ENV:"))


@pytest.mark.parametrize("environment", ["production", "testing"])
@pytest.mark.parametrize("variable", ["APP_ENV", "FLASK_ENV"])
@pytest.mark.parametrize("key", [{}, {"SECRET_KEY": ""}, {"SECRET_KEY": "development-only"}])
def test_a_secret_of_ones_own_is_required_outside_development(
    variable: str, environment: str, key: dict[str, str]
) -> None:
    assert refused({variable: environment, **key}).startswith("SECRET_KEY:")
    assert Settings.load({variable: environment, "SECRET_KEY": "own"}).app_env == environment


def test_the_secret_of_earlier_versions_signs_nothing_any_more() -> None:
    assert refused({"SECRET_KEY": "development-only"}) == "SECRET_KEY: a secret of your own is required"


def test_in_development_each_start_has_another_secret() -> None:
    first, second = (Settings.load({}).secret_key.get_secret_value() for _ in range(2))
    assert len(first) >= 32
    assert first != second


def test_the_new_name_of_the_environment_goes_before_the_old_one() -> None:
    assert Settings.load({"APP_ENV": "development", "FLASK_ENV": "production"}).app_env == "development"
    assert Settings.load({"APP_ENV": "", "FLASK_ENV": "testing", "SECRET_KEY": "own"}).app_env == "testing"


SECRETS = {"SECRET_KEY": "s3cret-key", "REDIS_PASSWORD": "s3cret-password"}


def test_no_secret_is_in_an_error_nor_in_the_settings_as_text() -> None:
    assert "s3cret" not in refused({**SECRETS, "REDIS_PORT": "x", "APP_ENV": "nowhere"})
    assert "s3cret" not in repr(Settings.load(SECRETS))
    assert "s3cret" not in str(Settings.load(SECRETS).model_dump_json())


@pytest.mark.parametrize("empty", ["", " ", "\t\n"])
def test_an_empty_variable_counts_as_not_set(empty: str) -> None:
    assert Settings.load({**dict.fromkeys(variables(Settings), empty), **OWN}).model_dump() == DEFAULTS


def test_settings_cannot_be_changed() -> None:
    settings: Any = Settings.load({})
    with pytest.raises(ValueError, match="frozen"):
        settings.redis_host = "elsewhere"
