"""No package that we install has a known fault, as far as the list says."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ray_app.local.audit import Advisory, installed, main, open_advisories, read_advisories


def test_nothing_that_is_installed_has_a_known_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0, capsys.readouterr().out


def test_the_list_is_about_what_we_install() -> None:
    assert {one.package for one in read_advisories()} <= installed().keys()


def test_an_old_version_is_named_with_its_remedy() -> None:
    [told] = open_advisories(
        [Advisory(package="ray", id="CVE-1", about="jobs", fixed_in="2.54.0")], {"ray": "2.9.3", "other": "1"}
    )
    assert told == "ray 2.9.3: CVE-1, jobs; install 2.54.0 or newer"


def test_an_advisory_is_mended_or_has_a_reason() -> None:
    with pytest.raises(ValidationError, match="reason"):
        Advisory(package="ray", id="CVE-1", about="jobs")
