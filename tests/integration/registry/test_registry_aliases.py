"""Aliases move whole, one caller after the other; what is put away stays away; everything is in the audit log."""

from __future__ import annotations

import itertools
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from training.errors import ConflictError, NotFoundError
from training.registry import Registry
from training.registry.aliases import Seen

from .conftest import Register, Trained

PROMOTE = """
import sys
from training.errors import ConflictError
from training.registry import Registry
from training.registry.aliases import Seen
registry = Registry(sys.argv[1], sys.argv[2])
registry.connect()
print("ready", flush=True)
sys.stdin.readline()
try:
    registry.promote(sys.argv[3], sys.argv[4], reason="", by=sys.argv[4], seen=Seen("1"))
    print("promoted")
except ConflictError:
    print("conflict")
"""


@pytest.fixture
def four(registry: Registry, name: str, register: Register, trained: Trained) -> Registry:
    """A registry in which the model has four versions, the first of them the champion."""
    for _ in range(4):
        register(trained)
    registry.promote(name, "1", reason="first", by="ann")
    return registry


def test_of_promotions_at_once_from_several_processes_one_succeeds(four: Registry, name: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROMOTE, four.tracking_uri, four.artifact_uri, name, version],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for version in ("2", "3", "4")
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    outcomes = [process.communicate(timeout=120)[0].strip() for process in processes]
    assert sorted(outcomes) == ["conflict", "conflict", "promoted"]
    winner = ("2", "3", "4")[outcomes.index("promoted")]
    assert four.model(name).aliases == {"champion": winner, "previous": "1"}


def test_promotions_and_rollbacks_at_once_leave_one_champion_and_a_whole_log(four: Registry, name: str) -> None:
    def do(number: int) -> str:
        try:
            if number % 3:
                four.promote(name, str(number % 4 + 1), reason="", by=f"user-{number}")
            else:
                four.rollback(name, reason="", by=f"user-{number}")
        except ConflictError:
            return "conflict"
        return "done"

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(do, range(24)))
    aliases = four.model(name).aliases
    assert aliases["champion"] != aliases["previous"]
    log = four.audit(name).items
    assert len(log) == outcomes.count("done") + 1
    # each change replaced the champion that the change before it had made: none was made beside another
    for later, earlier in itertools.pairwise(log):
        assert later.replaced == earlier.version
    assert log[0].version == aliases["champion"]


def test_a_promotion_against_a_champion_that_was_not_seen_is_refused(four: Registry, name: str) -> None:
    four.promote(name, "2", reason="", by="ann")
    with pytest.raises(ConflictError, match="version 2 became the champion"):
        four.promote(name, "3", reason="", by="bob", seen=Seen("1"))
    assert four.model(name).aliases == {"champion": "2", "previous": "1"}


def test_a_challenger_that_is_promoted_is_no_challenger_any_more(four: Registry, name: str) -> None:
    four.challenge(name, "3")
    assert four.model(name).aliases["challenger"] == "3"
    four.promote(name, "3", reason="", by="ann")
    assert four.model(name).aliases == {"champion": "3", "previous": "1"}
    four.challenge(name, "3")
    assert "challenger" not in four.model(name).aliases


def test_what_an_alias_points_at_is_neither_archived_nor_deleted(four: Registry, name: str) -> None:
    four.promote(name, "2", reason="", by="ann")
    for version, alias in (("2", "champion"), ("1", "previous")):
        with pytest.raises(ConflictError, match=f"is the {alias}: it cannot be archived"):
            four.archive(name, version, reason="", by="ann")
        with pytest.raises(ConflictError, match="it cannot be deleted"):
            four.delete(name, version, reason="", by="ann")
    assert not four.version(name, "1").archived


def test_an_archived_version_is_not_promoted_until_it_is_taken_back(four: Registry, name: str) -> None:
    four.archive(name, "3", reason="wrong rows", by="ann")
    assert four.version(name, "3").archived
    with pytest.raises(ConflictError, match="is archived"):
        four.promote(name, "3", reason="", by="bob")
    four.archive(name, "3", reason="", by="ann", away=False)
    four.promote(name, "3", reason="", by="bob")
    assert four.resolve(name).version == "3"


def test_a_deleted_version_is_gone_and_stays_in_the_log(four: Registry, name: str) -> None:
    four.delete(name, "4", reason="never again", by="ann")
    with pytest.raises(NotFoundError):
        four.version(name, "4")
    assert [version.version for version in four.model(name).versions] == ["3", "2", "1"]
    entry = four.audit(name).items[0]
    assert (entry.action, entry.version, entry.by, entry.reason) == ("delete", "4", "ann", "never again")


def test_an_unknown_version_is_not_found(four: Registry, name: str) -> None:
    for act in (four.archive, four.delete):
        with pytest.raises(NotFoundError):
            act(name, "9", reason="", by="ann")
    with pytest.raises(NotFoundError):
        four.audit("nothing")
