"""Every command of the README does what it says, on the running service."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from whole_service import ROOT, WholeService

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(900)]

BLOCK = re.compile(r"^```(?P<language>console|python|yaml)\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)
NOT_HERE = ("make ",)
"""The two commands bring up a service of their own on fixed ports: CI runs `make test`, a person `make demo`."""


def commands(block: str) -> list[str]:
    """The commands of a console block; a command goes on until the next prompt."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [part.strip() for part in parts if not part.startswith(NOT_HERE)]


def test_every_block_runs(whole: WholeService, tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    ran = 0
    # two versions to promote and to roll back between
    for _ in range(2):
        whole.finished(whole.submit()["id"])
    exports = whole.mts("env").stdout
    for block in BLOCK.finditer(readme):
        code = block["code"].replace("127.0.0.1:8000", f"127.0.0.1:{whole.port}")
        if block["language"] == "console":
            for command in commands(code):
                run(["bash", "-euo", "pipefail", "-c", f"{exports}\n{command}"], whole, command)
                ran += 1
        elif block["language"] == "python":
            script = tmp_path / "block.py"
            script.write_text(code.replace("MtsClient()", f'MtsClient("http://127.0.0.1:{whole.port}")'))
            run(["bash", "-euo", "pipefail", "-c", f"{exports}\n{sys.executable} {script}"], whole, code)
            ran += 1
        else:
            assert code in (ROOT / "examples" / "german_credit.yaml").read_text() or "#" in code
    assert ran > 15


def run(command: list[str], whole: WholeService, shown: str) -> None:
    answer = subprocess.run(command, cwd=ROOT, env=whole.environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, f"{shown}\n{answer.stdout}\n{answer.stderr}"
    assert "Traceback" not in answer.stderr, f"{shown}\n{answer.stderr}"
