"""From the command line to what it names: files, or objects of buckets."""

from __future__ import annotations

import atexit
import os
import re
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from image_intensity import detect, suffixes_of
from intensity.plan import NAMED_AGAIN
from intensity.progress import searching
from intensity.sources.errors import SourceError
from intensity.sources.files import IMAGE_NAME
from intensity.sources.paths import Found, find, listed
from intensity.sources.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from intensity.given import Given
    from intensity.plan import Plan
    from intensity.progress import Kind as Progress
    from intensity.sources.fetch import Store
    from intensity.sources.files import Files
    from intensity.summary import Counts

    # What yields each file or object, with a number: rows are sorted by it, and within it by name.
    Input = Callable[[Counts], Iterator[tuple[int, Found]]]

STANDARD_INPUT = 0
# So many show whether it is an image.
HEAD_BYTES = 64


def fill(plan: Plan, counts: Counts, found: Input, progress: Progress) -> None:
    """Put what is found into `plan`, each once. Raises SourceError."""
    for number, each in searching(progress, counts.noun, found(counts)):
        if plan.add(number, each):
            counts.total += 1
        else:
            counts.skipped[NAMED_AGAIN] += 1


def files(given: Given, source: Files, counts: Counts) -> Iterator[tuple[int, Found]]:
    check_names(given.paths, known=given.name_list is not None)
    selection = selection_of(given, counts)
    for number, name in enumerate(names(given, source)):
        if source.image and given.resume:
            raise SourceError("an image on standard input has no name by which --resume could know it")
        found = [Found(name)] if name == IMAGE_NAME else find(name, selection, follow_links=given.follow_links)
        yield from ((number, each) for each in found)


def selection_of(given: Given, counts: Counts) -> Selection:
    return Selection(
        suffixes=suffixes_of(given.formats),
        include=given.include,
        exclude=given.exclude,
        hidden=given.hidden,
        all_versions=given.all_versions,
        skipped=counts.skipped,
    )


def check_names(paths: list[str], *, known: bool) -> None:
    """Raise SourceError for a name that means no file but a pattern, a folder or an address, and if nothing is there.

    known: something else is named.
    """
    missing = [path for path in paths if not exists(path)]
    for path in missing:
        if re.match("[A-Za-z][A-Za-z0-9+.-]*://", path):
            raise SourceError(f"{path} is an address; only files of this machine are measured: download it first")
        if set(path) & set("*?["):
            raise SourceError(f"no file matches {path}")
        if path.endswith("/"):
            raise SourceError(f"there is no folder {path}")
    if missing == paths and missing and not known:
        more = ", nor any of the others" if len(missing) > 1 else ""
        raise SourceError(f"there is no file, folder or command {paths[0]}{more}; see intensity --help")


def exists(path: str) -> bool:
    """Return whether something has this name. A link that leads nowhere does, and so may what cannot be reached."""
    try:
        os.lstat(path)
    except OSError as error:
        return not isinstance(error, FileNotFoundError | NotADirectoryError)
    return True


def names(given: Given, source: Files) -> Iterator[bytes]:
    """Yield the names on the command line, then those of a list or that of an image on standard input.

    Raises SourceError.
    """
    yield from (os.fsencode(path) for path in given.paths)
    if given.name_list is None:
        return
    try:
        with os.fdopen(STANDARD_INPUT, "rb") if given.name_list == "-" else Path(given.name_list).open("rb") as file:
            if given.name_list == "-" and not given.null and detect(file.peek(HEAD_BYTES)):
                source.image = kept(file, given.max_bytes)
                yield IMAGE_NAME
                return
            yield from listed(file, b"\0" if given.null else b"\n")
    except (SourceError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SourceError(f"cannot read names from {given.name_list}: {reason}") from error


def kept(file: IO[bytes], most: int) -> bytes:
    """Copy standard input to a file, for the processes that measure, and return its name."""
    copy = tempfile.NamedTemporaryFile(prefix="intensity-")  # noqa: SIM115 - until the end
    atexit.register(copy.close)
    # A byte more shows that it is too large.
    copy.write(file.read(most + 1))
    copy.flush()
    return os.fsencode(copy.name)


def objects(given: Given, store: Store, counts: Counts) -> Iterator[tuple[int, Found]]:
    from intensity.sources import listing  # noqa: PLC0415 - it needs botocore

    selection = selection_of(given, counts)
    s3, number = store.client(), 0
    for source in listing.sources(given.prefixes, given.lists, given.inventories, url_encoded=given.url_encoded):
        for each in listing.objects(s3, source, selection):
            yield number, each.found
            # Rows keep the order of a list.
            number += source.in_order
        number += 1
