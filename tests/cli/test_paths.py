"""Which files are found in folders and lists."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest

from image_intensity.formats.table import suffixes_of
from intensity.sources.errors import SourceError
from intensity.sources.paths import Found, find, listed
from intensity.sources.selection import HIDDEN, LINKED_FOLDERS, OTHER_NAMES, VISITED_FOLDERS, Selection

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from image_intensity import ImageFormat

BOTH: Sequence[ImageFormat] = ("PNG", "JPEG")


def search(*, hidden: bool = False, formats: Sequence[ImageFormat] = BOTH) -> Selection:
    return Selection(suffixes=suffixes_of(formats), hidden=hidden)


def found(folder: Path, asked: Selection, *, follow_links: bool = False) -> list[str]:
    results = list(find(os.fsencode(folder), asked, follow_links=follow_links))
    assert [result.problem for result in results] == [None] * len(results)
    return sorted(os.path.relpath(os.fsdecode(result.path), folder) for result in results)


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_the_images_of_a_folder_are_found_by_name_in_any_case_and_the_rest_is_counted(tmp_path: Path) -> None:
    taken = ["a.png", "B.PNG", "c.jpg", "d.Jpeg", "e.jpe", "f.jfif", "g.MPO", "h.apng", "x/y/z.png"]
    make(tmp_path, *taken, "notes.txt", "png", "image.png.bak", "x/k.gif")
    asked = search()
    assert found(tmp_path, asked) == sorted(taken)
    assert asked.skipped == {OTHER_NAMES: 4}


def test_only_the_suffixes_of_the_accepted_formats_are_taken(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "b.apng", "c.jpg")
    assert found(tmp_path, search(formats=["PNG"])) == ["a.png", "b.apng"]
    assert found(tmp_path, search(formats=["JPEG"])) == ["c.jpg"]


def test_hidden_files_and_folders_are_counted_unless_they_are_asked_for(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "._a.png", ".cache/b.png")
    asked = search()
    assert found(tmp_path, asked) == ["a.png"]
    assert asked.skipped == {HIDDEN: 2}
    assert found(tmp_path, search(hidden=True)) == ["._a.png", ".cache/b.png", "a.png"]


def test_a_hidden_folder_that_is_named_is_searched(tmp_path: Path) -> None:
    make(tmp_path, ".cache/b.png")
    assert found(tmp_path / ".cache", search()) == ["b.png"]


def test_a_named_file_is_taken_by_any_name_and_whether_it_exists_or_not(tmp_path: Path) -> None:
    make(tmp_path, "notes.txt")
    for name in ("notes.txt", ".hidden", "missing"):
        path = os.fsencode(tmp_path / name)
        assert list(find(path, search(), follow_links=False)) == [Found(path)]


def test_linked_files_are_found_and_linked_folders_counted(tmp_path: Path) -> None:
    make(tmp_path, "real/a.png")
    (tmp_path / "b.png").symlink_to("real/a.png")
    (tmp_path / "linked").symlink_to("real")
    (tmp_path / "broken.png").symlink_to("nowhere")
    (tmp_path / "loop.png").symlink_to("loop.png")
    asked = search()
    assert found(tmp_path, asked) == ["b.png", "broken.png", "loop.png", "real/a.png"]
    assert asked.skipped == {LINKED_FOLDERS: 1}


def test_links_are_followed_on_request_and_a_loop_of_them_ends(tmp_path: Path) -> None:
    make(tmp_path, "a/b/c.png", "other/d.png")
    (tmp_path / "a/b/up").symlink_to(tmp_path / "a")
    (tmp_path / "a/self").symlink_to(".")
    (tmp_path / "a/there").symlink_to(tmp_path / "other")
    asked = search()
    assert found(tmp_path / "a", asked, follow_links=True) == ["b/c.png", "there/d.png"]
    assert asked.skipped == {VISITED_FOLDERS: 2}


def test_a_folder_that_is_a_link_is_searched_when_it_is_named(tmp_path: Path) -> None:
    make(tmp_path, "real/a.png")
    (tmp_path / "linked").symlink_to("real")
    assert found(tmp_path / "linked", search()) == ["a.png"]


@pytest.mark.parametrize(("separator", "names"), [(b"\n", [b"a b", b"\xff", b"-c"]), (b"\0", [b"a\nb", b" ", b"\xff"])])
@pytest.mark.parametrize("at_end", [True, False])
def test_a_list_has_its_names_with_or_without_a_separator_at_the_end(
    separator: bytes, names: list[bytes], *, at_end: bool
) -> None:
    content = separator.join(names) + (separator if at_end else b"")
    assert list(listed(io.BytesIO(content), separator)) == names


def test_a_list_may_be_longer_than_what_is_read_at_a_time() -> None:
    names = [b"%07d" % number for number in range(50_000)]
    assert list(listed(io.BytesIO(b"\n".join(names)), b"\n")) == names


def test_empty_lines_are_left_out() -> None:
    assert list(listed(io.BytesIO(b"\na\n\n\nb\n\n"), b"\n")) == [b"a", b"b"]


@pytest.mark.parametrize(("content", "sentence"), [(b"a\0b\n", "--null"), (b"x" * 200_000, "not a list of names")])
def test_what_is_no_list_of_names_is_an_error(content: bytes, sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence):
        list(listed(io.BytesIO(content), b"\n"))
