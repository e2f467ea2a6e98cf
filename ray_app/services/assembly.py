"""Puts the services of one process together."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from ray_app.jobs.monitors.port import Monitors
from ray_app.jobs.pools.port import Pools
from ray_app.jobs.port import Dispatching, Jobs
from ray_app.services.active_learning import PoolService
from ray_app.services.audit import AuditLog
from ray_app.services.datasets import DatasetService
from ray_app.services.deliveries import WebhookService
from ray_app.services.evaluate import EvaluateService
from ray_app.services.job_data import JobDataService
from ray_app.services.keys import KeyRing
from ray_app.services.label_studio import LabelStudio
from ray_app.services.links import LinkedJobs
from ray_app.services.models import ModelService
from ray_app.services.monitor import MonitorService
from ray_app.services.oidc import OidcVerifier, checked_address
from ray_app.services.pool import BoundedPool
from ray_app.services.quotas import Quotas
from ray_app.services.readiness import Readiness
from ray_app.services.reproduce import ReproduceService
from ray_app.services.train import TrainService
from ray_app.services.trials import TrialService
from ray_app.services.webhooks import WebhookList
from ray_app.settings import Settings, environment_secret
from training.data import DataAccess
from training.errors import TrainingError
from training.pipeline import Workplace
from training.registry import Registry

logger = logging.getLogger("ray_app.services")

WARM_UP_SPEC: dict[str, Any] = {
    "name": "warm-up",
    "data": {
        "source": {
            "type": "inline",
            "rows": [{"x": row, "k": "ab"[row % 2], "y": "ab"[row // 2 % 2]} for row in range(40)],
        },
        "target": "y",
    },
}


@dataclass(frozen=True)
class Services:
    """Everything that the endpoints delegate to. `keys` is None where every caller is the machine's own user."""

    jobs: Jobs
    train: TrainService
    evaluate: EvaluateService
    reproduce: ReproduceService
    job_data: JobDataService
    datasets: DatasetService
    models: ModelService
    trials: TrialService
    webhooks: WebhookService
    active_learning: PoolService
    label_studio: LabelStudio
    monitors: MonitorService
    readiness: Readiness
    quotas: Quotas
    audit: AuditLog
    oidc: OidcVerifier | None
    keys: KeyRing | None
    key_checks: BoundedPool
    pools: tuple[BoundedPool, ...]

    async def warm_up(self) -> None:
        """Does what the first requests would otherwise wait for: opens the registry, loads what checks of data need."""
        try:
            await self.train.plan(WARM_UP_SPEC)
            await self.models.connect()
        except TrainingError as error:
            logger.warning("not warm yet: %s", error)

    def close(self) -> None:
        """Ends the threads."""
        for pool in self.pools:
            pool.close()


def workplace_of(settings: Settings) -> Workplace:
    """The workplace that the settings describe."""
    access = DataAccess(
        roots=settings.roots, base=settings.base.resolve(), connections_file=settings.connections_path,
        secret=environment_secret,
    )  # fmt: skip
    return Workplace(access, Registry(settings.tracking_uri, settings.artifacts))


def _oidc(settings: Settings) -> OidcVerifier | None:
    if settings.oidc_issuer is None:
        return None
    return OidcVerifier(checked_address(settings.oidc_issuer), settings.oidc_audience, settings.oidc_role_claim)


def assemble(dispatcher: Dispatching, settings: Settings, *, pools: Pools, monitors: Monitors) -> Services:
    """The services over a dispatcher and the settings' registry.

    Data checks, the registry and key checks have pools of their own: none can starve the others.
    """
    workplace = workplace_of(settings)
    jobs = LinkedJobs(dispatcher, settings)
    webhooks = WebhookService(dispatcher, settings)
    data_checks = BoundedPool("data-checks", max_threads=2)
    registry_calls = BoundedPool("registry", max_threads=4)
    inflow = BoundedPool("inflow", max_threads=2, max_waiting=8)
    key_checks = BoundedPool("key-checks", max_threads=1, max_waiting=16)
    active_learning = PoolService(
        pools, workplace.access, data_checks, plan_limit_mb=settings.plan_limit_mb,
        webhook_secret=settings.label_studio_secret,
    )  # fmt: skip
    return Services(
        jobs=jobs,
        train=TrainService(jobs, workplace, data_checks, plan_limit_mb=settings.plan_limit_mb),
        evaluate=EvaluateService(jobs, workplace, registry_calls),
        models=ModelService(workplace.registry, registry_calls, webhooks.announce),
        webhooks=webhooks,
        reproduce=ReproduceService(jobs, workplace, registry_calls),
        job_data=JobDataService(jobs, settings.artifacts, registry_calls),
        datasets=DatasetService(settings.artifacts, registry_calls),
        trials=TrialService(jobs, workplace.registry, registry_calls),
        active_learning=active_learning,
        label_studio=LabelStudio(active_learning),
        monitors=MonitorService(
            monitors,
            jobs,
            workplace.registry,
            settings.artifacts,
            inflow,
            webhooks=WebhookList(settings.webhooks_file),
        ),
        readiness=Readiness(jobs, workplace.registry, registry_calls),
        quotas=Quotas(jobs),
        audit=AuditLog(settings.logs_path),
        oidc=_oidc(settings),
        keys=KeyRing(settings.api_keys_file) if settings.api_keys_file else None,
        key_checks=key_checks,
        pools=(data_checks, registry_calls, inflow, key_checks),
    )
