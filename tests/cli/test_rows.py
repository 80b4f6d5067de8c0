"""The columns, the same in every form, with the names and the values of the API."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, get_args

import pytest

from gateway.http.answers import FullIntensity, Intensity
from image_intensity import OPTIONS, Alpha, Luma, Options, Region, measure
from image_intensity import version as current_version
from intensity.rows import DETAIL_COLUMNS, METHOD, installed_method
from tests.cli.command import BASE_COLUMNS, csv_rows, intensity, json_rows, tsv_rows
from tests.core.samples import encoded, pixels

if TYPE_CHECKING:
    from pathlib import Path

MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for mode in MODES:
        (tmp_path / f"{mode.replace(';', '-')}.png").write_bytes(encoded(pixels(mode), "PNG"))
    (tmp_path / "CMYK.jpg").write_bytes(encoded(pixels("CMYK"), "JPEG"))
    (tmp_path / "damaged.png").write_bytes(encoded(pixels("RGB"), "PNG")[:-30])
    return tmp_path


@pytest.mark.parametrize("luma", get_args(Luma))
@pytest.mark.parametrize("alpha", ["ignore", "weight"])
def test_full_detail_in_json_lines_is_what_the_api_answers(folder: Path, luma: Luma, alpha: Alpha) -> None:
    result = intensity(folder, "--format", "jsonl", "--detail", "full", "--luma", luma, "--alpha", alpha)
    rows = json_rows(result.stdout)
    assert [row["path"] for row in rows] == [str(path) for path in sorted(folder.iterdir())]
    for row in rows:
        assert list(row) == [
            "path",
            *api_names(),
            "code",
            "detail",
            *METHOD,
            *detail_names(),
        ]
        if row["path"].endswith("damaged.png"):
            continue
        data = (folder / row["path"]).read_bytes()
        expected = measure(data, Options(luma=luma, alpha=alpha))
        request = {"filename": "", "duration_ms": 0, "request_id": ""}
        answer = FullIntensity.model_validate({**row, **request}).model_dump(mode="json")
        assert {**answer, **request} == {name: row.get(name, request.get(name)) for name in answer}
        assert row["average_intensity"] == expected.average_intensity
        assert row["histogram"] == list(expected.histogram)
        assert row["measurement"]["decoders"] == expected.decoders
        assert row["measurement"]["sha256"] == row["sha256"] == hashlib.sha256(data).hexdigest()
        assert (row["luma"], row["alpha"]) == (luma, alpha)


def api_names() -> list[str]:
    names = ["average_intensity", "image_size", "original_mode", "pixel_count", "image_size_bytes"]
    assert set(names) <= set(Intensity.model_fields)
    return [*names, "sha256"]


def detail_names() -> list[str]:
    names = [name for name in FullIntensity.model_fields if name not in Intensity.model_fields]
    assert names == ["statistics", "histogram", "measurement"]
    return names


def test_a_file_without_a_number_has_the_code_and_the_sentence_of_the_library(folder: Path) -> None:
    row = json_rows(intensity(folder / "damaged.png", "--format", "jsonl").stdout)[0]
    data = (folder / "damaged.png").read_bytes()
    assert row["code"] == "corrupt_image"
    assert row["detail"] == "This PNG is damaged: it is cut short."
    assert (row["image_size_bytes"], row["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert [row[name] for name in ("average_intensity", "image_size", "original_mode", "pixel_count")] == [None] * 4


@pytest.mark.parametrize("detail", [[], ["--detail", "full"]])
def test_csv_tsv_and_json_lines_have_the_same_values(folder: Path, detail: list[str]) -> None:
    as_json = json_rows(intensity(folder, "--format", "jsonl", *detail).stdout)
    as_csv = csv_rows(intensity(folder, "--format", "csv", *detail).stdout)
    as_tsv = tsv_rows(intensity(folder, "--format", "tsv", *detail).stdout)
    assert as_csv == as_tsv
    assert list(as_csv[0]) == BASE_COLUMNS + [column.name for column in DETAIL_COLUMNS if detail]
    for cells, values in zip(as_csv, as_json, strict=True):
        assert cells["average_intensity"] == ("" if values["code"] else repr(values["average_intensity"]))
        assert [cells["width"], cells["height"]] == list(map(str, values["image_size"] or ["", ""]))
        for name in ("path", "original_mode", "pixel_count", "image_size_bytes", "sha256", "code", "detail", "version"):
            assert cells[name] == ("" if values[name] is None else str(values[name]))
        if detail and not values["code"]:
            statistics = dict(values["statistics"])
            percentiles = statistics.pop("percentiles")
            assert {name: float(cells[name]) for name in statistics} == statistics
            assert {share: float(cells[f"percentile_{share}"]) for share in percentiles} == percentiles
            for name in set(values["measurement"]) - {*OPTIONS, "sha256", "algorithm"}:
                assert json.loads(cells[name]) == values["measurement"][name]


def test_full_detail_has_a_column_for_every_statistic_and_every_field_of_the_method(folder: Path) -> None:
    row = json_rows(intensity(folder / "RGB.png", "--format", "jsonl", "--detail", "full").stdout)[0]
    places = {column.place for column in DETAIL_COLUMNS}
    percentiles = row["statistics"].pop("percentiles")
    assert {place[1:] for place in places if place[0] == "statistics"} == {(name,) for name in row["statistics"]} | {
        ("percentiles", share) for share in percentiles
    }
    shown_already = {*OPTIONS, "sha256"}
    assert {place[1] for place in places if place[0] == "measurement"} == set(row["measurement"]) - shown_already


def test_every_row_says_which_options_and_versions_it_belongs_to(folder: Path) -> None:
    rows = csv_rows(intensity(folder, "--format", "csv", "--luma", "mean", "--alpha", "white").stdout)
    expected = installed_method(Options(luma="mean", alpha="white"))
    assert [{name: row[name] or None for name in METHOD} for row in rows] == [expected.values()] * len(rows)
    measurement = measure(encoded(pixels("L"), "PNG"))
    assert expected.version == current_version(measurement.algorithm, measurement.decoders)


@pytest.mark.parametrize("detail", [[], ["--detail", "full"]])
def test_every_form_has_the_numbers_of_the_region_and_names_it(folder: Path, detail: list[str]) -> None:
    region = ["--region", "3,4,20,17", *detail]
    as_json = json_rows(intensity(folder, "--format", "jsonl", *region).stdout)
    as_csv = csv_rows(intensity(folder, "--format", "csv", *region).stdout)
    assert as_csv == tsv_rows(intensity(folder, "--format", "tsv", *region).stdout)
    for cells, row in zip(as_csv, as_json, strict=True):
        assert cells["region"] == row["region"] == "3,4,20,17"
        if row["path"].endswith("damaged.png"):
            assert row["code"] == "corrupt_image"
            continue
        expected = measure((folder / row["path"]).read_bytes(), Options(region=Region(3, 4, 20, 17)))
        assert row["average_intensity"] == float(cells["average_intensity"]) == expected.average_intensity
        assert row["pixel_count"] == int(cells["pixel_count"]) == 340
        assert (row["image_size"], cells["width"], cells["height"]) == ([61, 47], "61", "47")
        if detail:
            assert row["measurement"]["region"] == "3,4,20,17"
            assert row["histogram"] == list(expected.histogram)


def test_an_image_without_all_of_the_region_has_a_problem_and_the_others_a_number(folder: Path) -> None:
    (folder / "small.png").write_bytes(encoded(pixels("L", (22, 47)), "PNG"))
    result = intensity(folder, "--format", "jsonl", "--region", "3,4,20,17")
    codes = {row["path"].rpartition("/")[2]: row["code"] for row in json_rows(result.stdout)}
    assert (codes.pop("small.png"), codes.pop("damaged.png")) == ("region_outside_image", "corrupt_image")
    assert set(codes.values()) == {None}
    assert result.returncode == 1
