"""Which tests share a process and in which order they run, when `make test` runs them side by side.

pytest-xdist starts the processes and hands out the tests. A new test needs nothing here: tests of one file that share
a server or a container stay together, so that it starts once, and all others run where there is room. A test that
measures how long something takes uses the fixture `alone`: no other test runs meanwhile.
"""

from __future__ import annotations

import fcntl
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from collections.abc import Generator

# Both use what `make build` has built.
BUILT = {"sam local", "deployed"}
# The groups that take longest start first, so that no process is left with one when the others are done.
FIRST = ["compose", "built"]
ALONE = "alone"
# Chromium ends the requests of all pages when a network interface comes or goes, as each container's does. By then,
# the containers have gone.
BROWSER = "tests/browser/"
CACHED = "side_by_side/groups"


@pytest.fixture
def alone() -> None:
    """For tests that measure time: no other test runs meanwhile."""


def is_alone(item: pytest.Item | None) -> bool:
    return isinstance(item, pytest.Function) and ALONE in item.fixturenames


def shares(item: pytest.Function) -> bool:
    """Whether a fixture of ours that it uses lives longer than the test."""
    definitions = (each for found in item._fixtureinfo.name2fixturedefs.values() for each in found)  # noqa: SLF001 - there is no other way
    return any(each.baseid and each.scope != "function" for each in definitions)


def group_of(item: pytest.Item) -> str | None:
    """Name the tests that run in the same process as this one; None if that does not matter."""
    if not isinstance(item, pytest.Function):
        return None
    if is_alone(item):
        return ALONE
    if "compose" in item.fixturenames:
        return "compose"
    if engine := str(item.callspec.params.get("engine", "")) if hasattr(item, "callspec") else "":
        return "built" if engine in BUILT else engine
    return item.nodeid.partition("::")[0] if shares(item) else None


def place(nodeid: str, group: str | None) -> int:
    """Sort: the longest groups first, the others, tests that fill gaps, browsers, and last those for which all wait."""
    order = [*FIRST, "", None, BROWSER, ALONE]
    if nodeid.startswith(BROWSER) and group != ALONE:
        return order.index(BROWSER)
    return order.index(group if group in order else "")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Bring the tests into their order, and tell the scheduler the groups: it runs in a process without the tests."""
    if hasattr(config, "workerinput"):
        groups = {item.nodeid: group_of(item) for item in items}
        items.sort(key=lambda item: place(item.nodeid, groups[item.nodeid]))
        if config.workerinput["workerid"] == "gw0":
            config.cache.set(CACHED, groups)


class Groups(LoadScopeScheduling):  # type: ignore[misc] # it has no types
    """Hands out the tests by groups.

    pytest-xdist has groups of its own, `--dist loadgroup`, but with pytest 9.2 it passes over them in silence:
    https://github.com/pytest-dev/pytest-xdist/issues/1386
    """

    @cached_property
    def groups(self) -> dict[str, str | None]:
        """The group of each test, which is known when all processes have collected the tests."""
        groups: dict[str, str | None] = self.config.cache.get(CACHED, {})
        return groups

    def _split_scope(self, nodeid: str) -> str:
        return self.groups[nodeid] or nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than cores: many tests wait for containers, browsers and deadlines."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups:  # noqa: ANN401 - pytest-xdist's
    """Hand out the tests by groups, in the order in which they were collected."""
    config.option.loadscopereorder = False
    return Groups(config, log)


class Room:
    """Lets in as many tests as come, or one that is alone. A test that waits to be alone lets no other begin."""

    def __init__(self, folder: Path) -> None:
        # Any two files will do: they are only locked.
        self.entry = (folder / "conftest.py").open()
        self.room = (folder / "support.py").open()
        self.is_ours = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, bool, bool]:
        """Go in for a test, and stay for the next one if both are alone."""
        if not self.is_ours:
            fcntl.flock(self.entry, fcntl.LOCK_EX)
            fcntl.flock(self.room, fcntl.LOCK_EX if is_alone(item) else fcntl.LOCK_SH)
            fcntl.flock(self.entry, fcntl.LOCK_UN)
        try:
            return (yield)
        finally:
            self.is_ours = is_alone(item) and is_alone(nextitem)
            if not self.is_ours:
                fcntl.flock(self.room, fcntl.LOCK_UN)


def pytest_configure(config: pytest.Config) -> None:
    """Take turns in the processes of pytest-xdist."""
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(Room(Path(__file__).parent))
