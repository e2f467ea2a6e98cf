"""Monitors, alarms and actions in the database of the job store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from ray_app.jobs.database import Database
from ray_app.jobs.ids import IdFactory
from ray_app.jobs.monitors.model import ActionState, Alarm, AlarmPage, Monitor, MonitorAction, MonitorPage
from ray_app.jobs.monitors.tables import monitor_actions, monitor_alarms, monitors
from training.errors import ConflictError, NotFoundError, nearest

MAX_ACTIONS = 100
"""Actions that a page of alarms brings along."""
MAX_TEXT_CHARS, MAX_SUBJECT_CHARS = 1000, 300


class MonitorStore:
    """One transaction for each method; thread-safe.

    Every method raises UnavailableError when the database is away.

    Args:
        database: of the job store.
        clock: gives the present.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._ids = IdFactory()

    def put(
        self, name: str, spec: dict[str, Any], due: Mapping[str, datetime | None], *, replace: bool
    ) -> tuple[Monitor, bool]:
        """Stores a monitor; the flag says whether it is new. The same spec again changes nothing.

        Args:
            name: of the monitor.
            spec: as JSON types.
            due: `next_report_at` and `next_retrain_at`.
            replace: whether another spec takes the place of the one that is there.

        Raises:
            ConflictError: it is there with another spec, and is not to be replaced.
        """
        now = self._clock()

        def work(connection: Connection) -> tuple[Monitor, bool]:
            found = _find(connection, name)
            if found is None:
                values = {"name": name, "spec": spec, "created_at": now, "updated_at": now, **due}
                connection.execute(insert(monitors).values(values))
            elif found.spec != spec:
                if not replace:
                    raise ConflictError(
                        f"the monitor {name} is there with another spec",
                        hint=f"PUT /api/v1/monitors/{name} replaces it",
                    )
                values = {"spec": spec, "updated_at": now, **due}
                connection.execute(update(monitors).where(monitors.c.name == name).values(values))
            return _get(connection, name), found is None

        return self._database.write(work, repeatable=True)

    def get(self, name: str) -> Monitor:
        """A monitor.

        Raises:
            NotFoundError: no such monitor.
        """
        return self._database.read(lambda connection: _get(connection, name))

    def list(self, limit: int, cursor: str | None) -> MonitorPage:
        """A page of monitors by name; the cursor is the last name of the page before."""

        def work(connection: Connection) -> MonitorPage:
            query = select(monitors).order_by(monitors.c.name).limit(limit + 1)
            if cursor is not None:
                query = query.where(monitors.c.name > cursor)
            items = [Monitor.model_validate(dict(row)) for row in connection.execute(query).mappings()]
            more = len(items) > limit
            return MonitorPage(items=items[:limit], next_cursor=items[limit - 1].name if more else None)

        return self._database.read(work)

    def remove(self, name: str) -> None:
        """Forgets the monitor; twice is the same as once."""

        def work(connection: Connection) -> None:
            for table in (monitor_alarms, monitor_actions):
                connection.execute(delete(table).where(table.c.monitor == name))
            connection.execute(delete(monitors).where(monitors.c.name == name))

        self._database.write(work, repeatable=True)

    def alarms(self, name: str, limit: int, cursor: str | None) -> AlarmPage:
        """A page of alarms, newest first, and the newest actions; the cursor is the last id of the page before."""

        def work(connection: Connection) -> AlarmPage:
            _get(connection, name)
            query = select(monitor_alarms).where(monitor_alarms.c.monitor == name)
            if cursor is not None:
                query = query.where(monitor_alarms.c.id < cursor)
            rows = connection.execute(query.order_by(monitor_alarms.c.id.desc()).limit(limit + 1)).mappings()
            items = [Alarm.model_validate(dict(row)) for row in rows]
            more = len(items) > limit
            return AlarmPage(
                items=items[:limit], actions=_actions(connection, name),
                next_cursor=items[limit - 1].id if more else None,
            )  # fmt: skip

        return self._database.read(work)

    def alarm_counts(self) -> Mapping[str, Mapping[str, int]]:
        """Alarms by monitor and severity; a monitor without any is there too."""
        severities = monitor_alarms.c.severity

        def work(connection: Connection) -> Mapping[str, Mapping[str, int]]:
            found: dict[str, dict[str, int]] = {name: {} for name in connection.scalars(select(monitors.c.name))}
            query = select(monitor_alarms.c.monitor, severities, func.count())
            for name, severity, count in connection.execute(query.group_by(monitor_alarms.c.monitor, severities)):
                found[name][severity] = count
            return found

        return self._database.read(work)

    # what the dispatcher works with

    def due(self, moment: datetime) -> tuple[Sequence[Monitor], datetime | None]:
        """The monitors whose schedule is due, and when the next of the others will be."""
        reports, retrains = monitors.c.next_report_at, monitors.c.next_retrain_at

        def work(connection: Connection) -> tuple[Sequence[Monitor], datetime | None]:
            query = select(monitors).where((reports <= moment) | (retrains <= moment)).order_by(monitors.c.name)
            found = [Monitor.model_validate(dict(row)) for row in connection.execute(query).mappings()]
            later = [
                connection.scalar(select(func.min(column)).where(column > moment)) for column in (reports, retrains)
            ]
            times = [time for time in later if time is not None]
            return found, min(times, default=None)

        return self._database.read(work)

    def reschedule(self, name: str, column: str, due: datetime | None) -> None:
        """Notes when the schedule is due next."""
        self._database.write(
            lambda connection: connection.execute(
                update(monitors).where(monitors.c.name == name).values({column: due})
            ),
            repeatable=True,
        )

    def record(self, name: str, found: Sequence[Mapping[str, Any]], job_id: str) -> Sequence[Alarm]:
        """Keeps those alarms that are not there yet, and answers all that the job found first."""
        now = self._clock()
        rows = [
            {**alarm, "id": self._ids.new(now).replace("job_", "alarm_"), "monitor": name, "created_at": now,
             "job_id": job_id, "message": alarm["message"][:MAX_TEXT_CHARS],
             "subject": alarm["subject"][:MAX_SUBJECT_CHARS]}
            for alarm in found
        ]  # fmt: skip

        def work(connection: Connection) -> Sequence[Alarm]:
            for row in rows:
                if connection.execute(select(monitor_alarms.c.id).where(*_same(row))).first() is None:
                    connection.execute(insert(monitor_alarms).values(row))
            mine = select(monitor_alarms).where(
                monitor_alarms.c.monitor == name, monitor_alarms.c.job_id == job_id
            )  # fmt: skip
            return [Alarm.model_validate(dict(row)) for row in connection.execute(mine).mappings()]

        return self._database.write(work, repeatable=True)

    def alarm(self, alarm_id: str) -> Alarm:
        """An alarm that is known to be there."""

        def work(connection: Connection) -> Alarm:
            query = select(monitor_alarms).where(monitor_alarms.c.id == alarm_id)
            return Alarm.model_validate(dict(connection.execute(query).mappings().one()))

        return self._database.read(work)

    def action_of(self, alarm_id: str, action: str) -> MonitorAction | None:
        """What was decided about an alarm before."""

        def work(connection: Connection) -> MonitorAction | None:
            where = (monitor_actions.c.alarm_id == alarm_id) & (monitor_actions.c.action == action)
            row = connection.execute(select(monitor_actions).where(where)).mappings().first()
            return None if row is None else MonitorAction.model_validate(dict(row))

        return self._database.read(work)

    def started_since(self, name: str, action: str, period_s: float) -> Sequence[datetime]:
        """When actions of a kind were started in the last `period_s` seconds, newest first."""
        since = self._clock() - timedelta(seconds=period_s)

        def work(connection: Connection) -> Sequence[datetime]:
            columns = monitor_actions.c
            query = select(columns.created_at).where(
                columns.monitor == name, columns.action == action, columns.state == "started",
                columns.created_at > since,
            )  # fmt: skip
            return list(connection.scalars(query.order_by(columns.created_at.desc())))

        return self._database.read(work)

    def note_action(
        self, name: str, action: str, state: ActionState, reason: str, *, alarm_id: str | None, job_id: str | None
    ) -> MonitorAction:
        """Keeps what was decided; what a job does is kept once, so that it may be told again after a crash."""
        now = self._clock()
        row = {
            "id": self._ids.new(now).replace("job_", "action_"), "monitor": name, "action": action, "state": state,
            "reason": reason[:MAX_TEXT_CHARS], "alarm_id": alarm_id, "created_at": now, "job_id": job_id,
        }  # fmt: skip

        def work(connection: Connection) -> MonitorAction:
            same = (monitor_actions.c.job_id == job_id) & (monitor_actions.c.action == action)
            known = (
                None if job_id is None else connection.execute(select(monitor_actions).where(same)).mappings().first()
            )
            if known is None:
                connection.execute(insert(monitor_actions).values(row))
            return MonitorAction.model_validate(row if known is None else dict(known))

        return self._database.write(work)

    def note_refusal(self, job_id: str, reason: str) -> None:
        """Keeps why the action that a job was to do was not done: it counts for no cooldown and no budget."""
        self._note(monitor_actions.c.job_id == job_id, state="suppressed", reason=reason[:MAX_TEXT_CHARS])

    def note_training(self, job_id: str, train_job_id: str) -> None:
        """Keeps which training came of the action that a job did."""
        self._note(monitor_actions.c.job_id == job_id, train_job_id=train_job_id)

    def note_pool(self, job_id: str, pool_id: str) -> None:
        """Keeps which pool the action that a job did has opened."""
        self._note(monitor_actions.c.job_id == job_id, pool_id=pool_id)

    def note_confirmation(self, pool_id: str, confirmation: Mapping[str, Any]) -> None:
        """Keeps what the labels of a pool say of the alarm that opened it."""
        self._note(monitor_actions.c.pool_id == pool_id, confirmation=dict(confirmation))

    def _note(self, where: ColumnElement[bool], **values: Any) -> None:
        self._database.write(
            lambda connection: connection.execute(update(monitor_actions).where(where).values(values)),
            repeatable=True,
        )


def _find(connection: Connection, name: str) -> Monitor | None:
    row = connection.execute(select(monitors).where(monitors.c.name == name)).mappings().first()
    return None if row is None else Monitor.model_validate(dict(row))


def _get(connection: Connection, name: str) -> Monitor:
    found = _find(connection, name)
    if found is None:
        known = connection.scalars(select(monitors.c.name).limit(1000))
        raise NotFoundError.at("name", name, f"no monitor {name}{nearest(name, known)}", hint="POST /api/v1/monitors")
    return found


def _same(row: Mapping[str, Any]) -> list[Any]:
    names = ("monitor", "version", "window_start", "kind", "subject")
    return [monitor_alarms.c[name] == row[name] for name in names]


def _actions(connection: Connection, name: str) -> list[MonitorAction]:
    query = select(monitor_actions).where(monitor_actions.c.monitor == name)
    rows = connection.execute(query.order_by(monitor_actions.c.id.desc()).limit(MAX_ACTIONS)).mappings()
    return [MonitorAction.model_validate(dict(row)) for row in rows]
