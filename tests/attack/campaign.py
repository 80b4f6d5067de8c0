"""The campaign: classes of damage in turn, for a number of seconds, and what comes of each."""

from __future__ import annotations

import random
import statistics
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from tests.attack import damage
from tests.attack.judges import ours, pillow, strict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Damage = Callable[[bytes, random.Random], bytes]


@dataclass
class Row:
    """A class of damage, and what came of it.

    most: the share of what the strict judge refuses that may be accepted here; None: any, with the number of the sound
    image. For JPEG, it may be `SAME` levels from it, or any number if all that is wrong is known to pass. others_pass:
    the share that may have another number. sound: if all files have to be accepted that both judges accept with the
    number of the sound image. new: with any number, because the damage makes another sound image. refused: by the
    strict judge. accepted: here, of those. errors: how far the number of each of those is from that of the sound image.
    changed: how many are too far, and not known to pass. unnoticed: by compression, how many were damaged, and
    how many of these have another number here. found: refused here, though both judges accept, with another number than
    that of the sound image. lost: with the same number. others: numbers that are not those of both judges.
    """

    title: str
    image_format: str
    damage: Damage
    most: float | None = 0
    others_pass: float = 0
    sound: bool = True
    new: bool = False
    mutants: int = 0
    refused: int = 0
    accepted: int = 0
    errors: list[float] = field(default_factory=list)
    changed: int = 0
    unnoticed: dict[str, list[int]] = field(default_factory=dict)
    found: int = 0
    lost: int = 0
    others: int = 0

    def add(self, whole: bytes, mutant: bytes) -> None:
        self.mutants += 1
        number = ours(mutant)
        if self.image_format == "WEBP":
            self.note("lossless" if b"VP8L" in whole[:80] else "lossy", number not in {None, ours(whole)})
        sound, exact, known = strict(self.image_format, mutant)
        if not sound:
            self.refused += 1
            if number is not None:
                self.accepted += 1
                self.errors.append(abs(number - (ours(whole) or 0)))
                self.changed += self.errors[-1] > self.same and not known
            return
        expected = pillow(mutant) if exact is None or number is None else exact
        if expected is None:
            return
        if number is not None:
            self.others += number != expected
        elif self.new or expected == ours(whole):
            self.lost += 1
        else:
            self.found += 1

    def note(self, kind: str, wrong: bool) -> None:  # noqa: FBT001 - what there is to note
        """Count a damaged file, whatever the judge says of it."""
        seen = self.unnoticed.setdefault(kind, [0, 0])
        seen[0] += 1
        seen[1] += wrong

    @property
    def same(self) -> float:
        """How far numbers may differ that count as the same, in levels."""
        return SAME if self.image_format == "JPEG" else 0

    @property
    def failures(self) -> list[str]:
        found = []
        if self.most is not None and self.accepted > max(self.most * self.refused, self.most > 0):
            found.append(f"{self.accepted} of {self.refused} that are damaged are accepted")
        if (self.most is None or not self.same) and self.changed > max(
            self.others_pass * self.refused, self.others_pass > 0
        ):
            found.append(f"{self.changed} that are damaged are accepted with another number than the sound image has")
        if self.sound and self.lost:
            found.append(f"{self.lost} are refused that are sound")
        if self.others:
            found.append(f"{self.others} have another number than the judges")
        return [f"{self.image_format}, {self.title}: {failure}" for failure in found]

    @property
    def cells(self) -> list[str]:
        errors = f"{statistics.median(self.errors):.2f} / {max(self.errors):.2f}" if self.errors else ""
        share = f"{self.accepted / self.refused:.1%}" if self.refused else ""
        first, last = (self.mutants, self.refused, self.accepted), (self.found, self.lost, self.others)
        head, tail = ([f"{count:,}" for count in counts] for counts in (first, last))
        return [self.image_format, self.title, *head, share, errors, *tail]


# The share of refused files that may have another number.
LEAST = 0.001
# Levels that a number may be off after damage to a header.
SAME = 0.01
HEAD = [
    *("format", "damage", "mutants", "refused by the strict judge", "of these accepted by us", "share"),
    *("error in levels, median / most", "damage found by us alone", "sound files refused", "another number"),
]


def rows(jpegs: Sequence[bytes]) -> list[Row]:
    """All classes. Where `most` is None, the judge is stricter, or laxer, than what pixels depend on.

    jpegs: sound ones, to be joined.
    """
    return [
        # Not noticed: codes that do not exist, in scans of more than 65,535 MCUs, and up to seven bytes at the end of
        # the data, which libjpeg has read ahead.
        Row("a bit of the coded data flipped", "JPEG", damage.flip_coded_data, most=0.05),
        Row("cut", "JPEG", damage.cut),
        Row("coded data cut, file closed again", "JPEG", damage.cut_and_close),
        Row("bytes behind coded data", "JPEG", damage.surplus),
        Row("a restart marker more, fewer, or another", "JPEG", damage.restart_markers),
        Row("markers and segments that mean nothing", "JPEG", damage.nothing_that_counts),
        # We refuse missing scans, of which libjpeg does not warn. Bytes between segments are the other way round.
        Row("a segment dropped, doubled, moved, renamed", "JPEG", damage.segments_moved, most=None, sound=False),
        Row("a bit of a header flipped", "JPEG", damage.header_byte, most=None, sound=False),
        Row("bytes of a header lost, added, changed", "JPEG", damage.header_damaged, most=None, sound=False),
        Row("a header after a transfer", "JPEG", damage.transfer, most=None, sound=False),
        Row("two files joined", "JPEG", partial(damage.joined, jpegs), most=None, sound=False),
        Row("a bit of the compressed data flipped, checksums of chunks mended", "PNG", damage.flip_compressed_data),
        Row("cut", "PNG", damage.cut),
        Row("the end of the compressed data", "PNG", damage.stream_end),
        Row("rows changed and compressed anew", "PNG", damage.rows_changed, new=True),
        # libpng also refuses misplaced chunks that change no pixel. Pillow also refuses files that lack an unused part.
        Row("a chunk dropped, doubled, moved", "PNG", damage.chunks_moved, most=None, sound=False),
        Row("a bit of another chunk flipped, checksums mended", "PNG", damage.chunk_byte, most=None, sound=False),
        # Of what the judges refuse, one in a thousand may have another number. We also refuse what they let pass: coded
        # data with bytes left, or without its end.
        *(
            Row(title, "WEBP", change, most=None, others_pass=LEAST, sound=False)
            for title, change in {
                "a bit flipped": damage.flip_any,
                "cut": damage.cut,
                "512 or 4,096 bytes of zeros": damage.zeroed,
                "bytes lost": damage.lost,
                "a chunk cut, lengthened, dropped, doubled, moved, sizes mended": damage.webp_chunks,
                "a bit of a header flipped": damage.webp_header,
            }.items()
        ),
    ]


def run(classes: Iterable[Row], images: dict[str, dict[str, bytes]], seconds: float, seed: int) -> None:
    """Damage an image after the other, each class in turn, until the time is over: the same files for the same seed."""
    classes = [*classes]
    chance = random.Random(seed)
    end = time.monotonic() + seconds
    while True:
        for row in classes:
            if time.monotonic() > end and all(each.mutants for each in classes):
                return
            whole = chance.choice([*images[row.image_format].values()])
            mutant = row.damage(whole, chance)
            if mutant != whole:
                row.add(whole, mutant)
