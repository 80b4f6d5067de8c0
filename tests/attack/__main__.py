"""`make attack`: print a table of damaged files, and fail where a class is open that was closed."""

from __future__ import annotations

import os
import sys

from tests.attack import images, tiffs
from tests.attack.campaign import HEAD, rows, run
from tests.attack.judges import missing

SECONDS = float(os.environ.get("SECONDS") or 60)
SEED = int(os.environ.get("SEED") or 1)
ONLY = os.environ.get("ONLY", "")


def main() -> int:
    if lacking := missing():
        print(f"Not judged, because these programs are missing: {', '.join(lacking)}")  # noqa: T201 - it is a report
        return int(os.environ.get("REQUIRE_ALL") == "1")
    sound = {"JPEG": images.jpegs() | images.corpus("JPEG"), "PNG": images.pngs() | images.corpus("PNG")}
    sound["WEBP"] = {name: make() for name, make in images.webps().items()} | images.corpus("WEBP")
    sound |= tiffs.sound_files()
    every = [*rows([*sound["JPEG"].values()]), *tiffs.rows()]
    classes = [row for row in every if ONLY in f"{row.image_format}, {row.title}"]
    run(classes, sound, SECONDS, SEED)
    table = [HEAD, ["---"] * len(HEAD), *(row.cells for row in classes)]
    numbers = [
        f"{row.image_format}, {kind}, {row.title}: {wrong:,} of {damaged:,} ({wrong / damaged:.1%}) have another number"
        for row in classes
        for kind, (damaged, wrong) in sorted(row.unnoticed.items())
    ]
    counts = ", ".join(f"{len(files)} {name}" for name, files in sound.items())
    failures = [f"FAILED {failure}" for row in classes for failure in row.failures]
    told = ["", *numbers, "", f"Sound files: {counts}; seed {SEED}, {SECONDS:g} s", *failures]
    print("\n".join([*(f"| {' | '.join(cells)} |" for cells in table), *told]))  # noqa: T201 - as above
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
