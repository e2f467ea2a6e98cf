"""Registered models: what there is, and which version is the champion."""

from __future__ import annotations

import re

from ray_app.services.cursors import registry_cursor
from ray_app.services.pool import BoundedPool
from training.errors import ConflictError, NotFoundError
from training.evaluation.report import Report
from training.registry import Registry
from training.registry.files import REPORT_JSON
from training.registry.model import CHAMPION, ModelInfo, ModelPage, VersionInfo

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_VERSION = re.compile(r"[1-9][0-9]{0,17}")


class ModelService:
    """The registry for the event loop: each call runs in a bounded pool of threads."""

    def __init__(self, registry: Registry, pool: BoundedPool) -> None:
        self._registry = registry
        self._pool = pool

    async def connect(self) -> None:
        """Opens the registry, so that the first request does not wait for it."""
        await self._pool.run(self._registry.connect)

    async def page(self, *, limit: int, cursor: str | None) -> ModelPage:
        """Models with their newest version."""
        return await self._pool.run(self._registry.models, limit, registry_cursor(cursor))

    async def model(self, name: str) -> ModelInfo:
        """A model with all its versions."""
        return await self._pool.run(self._registry.model, _known_name(name))

    async def version(self, name: str, version: str) -> VersionInfo:
        """One version."""
        return await self._pool.run(self._registry.version, _known_name(name), _known_version(name, version))

    async def report(self, name: str, version: str) -> tuple[Report, dict[str, str]]:
        """The evaluation report of a version, and what is to be said of the version now.

        Raises:
            NotFoundError: no such model or version, or it was not made by this service.
        """
        info = await self.version(name, version)
        content = await self._pool.run(self._registry.read_file, info, REPORT_JSON)
        status = {"version": info.version, "aliases": ", ".join(info.aliases) or "none"}
        return Report.model_validate_json(content).model_copy(update={"version": info.version}), status

    async def promote(self, name: str, version: str, *, reason: str, force: bool, by: str) -> ModelInfo:
        """Makes the version the champion and answers the model.

        Raises:
            NotFoundError: no such model or version.
            ConflictError: it is the champion already, or the gate does not let it pass and it is not forced.
        """
        _known_version(_known_name(name), version)
        if not force:
            await self._pool.run(self._check_gate, name, version)
        await self._pool.run(self._registry.promote, name, version, reason=reason, by=by)
        return await self.model(name)

    async def rollback(self, name: str, *, reason: str, by: str) -> ModelInfo:
        """Makes the previous champion the champion again and answers the model."""
        await self._pool.run(self._registry.rollback, _known_name(name), reason=reason, by=by)
        return await self.model(name)

    def _check_gate(self, name: str, version: str) -> None:
        """The gate compared the version with one champion; what it said counts as long as that is the champion."""
        champion = self._registry.model(name).aliases.get(CHAMPION)
        info = self._registry.version(name, version)
        if champion is None or champion == version:
            return
        hint = "An approver can promote it with force and a reason."
        if info.gate is None:
            raise ConflictError(f"version {version} of {name} was never compared with a champion", hint=hint)
        if info.gate.decision != "promote":
            reasons = "; ".join(info.gate.reasons)
            raise ConflictError(f"the gate keeps version {champion} of {name}: {reasons}", hint=hint)
        if (info.gate.champion or {}).get("version") != champion:
            raise ConflictError(f"version {version} of {name} was not compared with version {champion}", hint=hint)


def _known_name(name: str) -> str:
    """A name that no model can have never reaches the registry's query language."""
    if not _NAME.fullmatch(name):
        raise NotFoundError(f"no model named {name!r}", hint="Model names are lower-case: [a-z0-9][a-z0-9._-]{0,99}.")
    return name


def _known_version(name: str, version: str) -> str:
    if not _VERSION.fullmatch(version):
        raise NotFoundError(f"{name} has no version {version!r}", hint="Versions are whole numbers from 1.")
    return version
