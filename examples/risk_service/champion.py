"""The version in use: fetched, checked, and swapped whole."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd

from ray_app.client import MtsClient
from training.bundle_file import BundleError, golden_difference, unpack

logger = logging.getLogger("risk_service")

MAX_REASONS = 3


@dataclass(frozen=True)
class Asked:
    """The rows of a request, by column, all of one length."""

    columns: dict[str, list[Any]]
    reasons: bool = True

    @property
    def rows(self) -> int:
        """Asked for."""
        return len(next(iter(self.columns.values())))

    @property
    def scored_rows(self) -> int:
        """With those that the reasons need."""
        return self.rows * (1 + self.reasons * len(self.columns))


@dataclass(frozen=True)
class Champion:
    """A checked version, ready to score. Never changes; a request keeps the one that it began with."""

    manifest: dict[str, Any]
    model: Any
    typical: dict[str, Any]
    """The typical value of each column in training: median, or the most frequent category."""

    @property
    def version(self) -> str:
        """Of the registered model."""
        return str(self.manifest["version"])

    @property
    def inputs(self) -> list[dict[str, str]]:
        """Name and kind of each column."""
        inputs: list[dict[str, str]] = self.manifest["inputs"]
        return inputs

    def answers(self, asked: Sequence[Asked]) -> list[list[dict[str, Any]]]:
        """Probability, decision and top reasons of each row of each request; all is scored by one call.

        A reason is a column and how much the score falls when the column takes its typical value instead.
        """
        together: dict[str, list[Any]] = {one["name"]: [] for one in self.inputs}
        for one in asked:
            for position, (name, values) in enumerate(one.columns.items()):
                together[name] += _with_typical(values, position, self.typical[name], one)
        output = self.manifest["positive_class"] or self.manifest["outputs"][0]
        numbers = {one["name"] for one in self.inputs if one["kind"] == "numeric"}
        # what pandas need not look through for times and numbers takes it a third of the time
        arrays = {
            name: np.array(values, np.float64 if name in numbers else object) for name, values in together.items()
        }
        scores = self.model.predict(pd.DataFrame(arrays, copy=False))[output].to_numpy()
        found, start = [], 0
        for one in asked:
            own = scores[start : start + one.scored_rows].reshape(-1, one.rows)
            found.append([self._answer(own[:, row].tolist(), one) for row in range(one.rows)])
            start += one.scored_rows
        return found

    def _answer(self, scores: list[float], asked: Asked) -> dict[str, Any]:
        """Of one row: its score, and after it, where reasons are asked for, one with each column's typical value."""
        score, threshold = scores[0], self.manifest["threshold"]
        # without reasons there are no more scores than the first
        gaps = ((name, score - other) for name, other in zip(asked.columns, scores[1:], strict=False))
        largest = sorted(gaps, key=lambda pair: -abs(pair[1]))[:MAX_REASONS]
        return {
            "score": score,
            "decision": None if threshold is None else self.manifest["classes"][int(score >= threshold)],
            "version": self.version,
            "reasons": [{"column": name, "effect": round(gap, 6)} for name, gap in largest if gap],
        }


def _with_typical(values: list[Any], position: int, typical: Any, asked: Asked) -> list[Any]:
    """A column's values, and where reasons are asked for as many again for each column, typical in its own turn.

    Lists until the end: to concatenate as many frames as there are columns took five times as long as to score them.
    """
    if not asked.reasons:
        return values
    before = values * (position + 1)
    return before + [typical] * len(values) + values * (len(asked.columns) - position - 1)


class Follower:
    """Keeps the champion of one model; looks for a new one at every interval, and at once when told.

    Thread-safe: `champion` is replaced whole. `loaded` is called before the first version is taken into use.
    """

    def __init__(
        self, client: MtsClient, name: str, interval_s: float = 10.0, loaded: Callable[[], None] | None = None
    ) -> None:
        self._client, self._name, self._interval_s, self._loaded = client, name, interval_s, loaded
        self._wake, self._closing = threading.Event(), False
        self.champion: Champion | None = None
        self.problem: str | None = "no version has been fetched yet"
        self._refused: str | None = None
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._thread.start()

    def look_now(self) -> None:
        """There may be a new champion."""
        self._wake.set()

    def close(self) -> None:
        """Ends the thread."""
        self._closing = True
        self._wake.set()
        self._thread.join()

    def step(self) -> bool:
        """Looks once; True where another version took over."""
        wanted = self._client.model(self._name).aliases.get("champion")
        if wanted is None:
            raise LookupError(f"{self._name} has no champion")
        if (self.champion is not None and self.champion.version == wanted) or wanted == self._refused:
            return False
        try:
            fetched = fetch(self._client, self._name, wanted)
        except BundleError:
            self._refused = wanted
            raise
        if self.champion is None and self._loaded is not None:
            self._loaded()
        self.champion, self.problem, self._refused = fetched, None, None
        logger.info("version %s is in use", wanted)
        return True

    def _run(self) -> None:
        while not self._closing:
            try:
                self.step()
            except Exception as error:  # noqa: BLE001 - whatever is wrong with a new version, the old one stays in use
                self.problem = f"{type(error).__name__}: {error}"
                logger.warning("no new version: %s", self.problem)
            self._wake.wait(self._interval_s)
            self._wake.clear()


def fetch(client: MtsClient, name: str, version: str) -> Champion:
    """Downloads, checks and loads a version.

    Raises:
        BundleError: it was altered, or does not reproduce its golden rows here.
    """
    root = Path(tempfile.mkdtemp(prefix="risk-service-"))
    try:
        champion = _checked(client, name, version, root)
    except BaseException:
        shutil.rmtree(root)
        raise
    # its code may be imported later; the folder goes when nobody uses the version any more
    weakref.finalize(champion, shutil.rmtree, root)
    return champion


def _checked(client: MtsClient, name: str, version: str, root: Path) -> Champion:
    archive = client.bundle(name, version, root)
    manifest = unpack(archive, root / "bundle")
    loaded = mlflow.pyfunc.load_model(str(root / "bundle" / "model"))
    largest, tolerance = golden_difference(root / "bundle", loaded)
    if largest > tolerance:
        raise BundleError(f"the golden rows of version {version} differ by {largest:.3g}")
    profile = json.loads((root / "bundle" / "profile.json").read_text(encoding="utf-8"))
    champion = Champion(manifest, loaded.unwrap_python_model().model, _typical(profile))
    golden = json.loads((root / "bundle" / "golden.json").read_text(encoding="utf-8"))
    # what is slow the first time is done before anybody waits
    champion.answers([Asked({one["name"]: [golden["rows"][0][one["name"]]] for one in champion.inputs})])
    return champion


def _typical(profile: dict[str, Any]) -> dict[str, Any]:
    return {
        column["name"]: column["quantiles"][5] if column["kind"] == "numeric" and column["quantiles"]
        else next(iter(column["shares"]), None)
        for column in profile["columns"]
    }  # fmt: skip
