"""Between pools and Label Studio: tasks out, annotations in, its webhook.

Formats as in Label Studio's documentation: tasks are {"data": {…}}, an export is the same tasks with "annotations",
whose "result" has entries of type choices (classes) or number (regression) of the control named "label".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from pydantic import SecretStr

from ray_app.jobs.pools.model import AnswerCounts, PoolItem
from ray_app.services.active_learning import LabelRequest, LabelsAnswer, PoolService, checked
from ray_app.services.documents import MalformedError, parse_json
from training.active_learning.spec import PoolSpec
from training.errors import SpecError, TrainingError, shown

ROW_ID = "mts_row_id"
POOL_ID = "mts_pool_id"
TAKEN = frozenset({"ANNOTATION_CREATED", "ANNOTATION_UPDATED"})


class SignatureError(TrainingError):
    """A webhook that does not prove where it comes from."""


def check_signature(secret: SecretStr | None, body: bytes, signature: str | None, token: str | None) -> None:
    """Whether the webhook comes from whoever knows the secret.

    Args:
        secret: of the settings.
        body: as it came.
        signature: `sha256=` and the HMAC of the body in hexadecimal, by a sender or proxy that signs.
        token: the secret itself. Label Studio signs nothing, but sends headers that its webhook form is given.

    Raises:
        SignatureError: it does not.
    """
    if secret is None:
        raise SignatureError("the webhook is not set up", hint="Set MTS_LABEL_STUDIO_SECRET.")
    key = secret.get_secret_value().encode()
    expected = "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()
    if signature is not None and hmac.compare_digest(signature.encode(), expected.encode()):
        return
    if signature is None and token is not None and hmac.compare_digest(token.encode(), key):
        return
    raise SignatureError(
        "the signature of the webhook is missing or wrong",
        hint="Send X-Signature-256: sha256=HMAC of the body, or the secret as X-Webhook-Token.",
    )


class LabelStudio:
    """Tasks and annotations of the service's pools."""

    def __init__(self, service: PoolService) -> None:
        self._service = service

    async def tasks(self, pool_id: str) -> list[dict[str, Any]]:
        """The rows that were chosen, for import into Label Studio."""
        return [_task(pool_id, item) for item in await self._service.pools.items(pool_id) if item.status == "queued"]

    async def config(self, pool_id: str) -> str:
        """The labelling interface, for the settings of a project of Label Studio."""
        plan = PoolSpec.model_validate((await self._service.pools.get(pool_id)).spec)
        items = await self._service.pools.items(pool_id)
        return _config(plan, list(items[0].cells) if items else plan.data.show)

    async def take_in(self, pool_id: str, tasks: Any) -> LabelsAnswer:
        """Stores the annotations of an export; what is wrong in one of them refuses all.

        Raises:
            MalformedError: no export of Label Studio.
            SpecError: a row that was never handed out, or a label that is none.
        """
        plan = PoolSpec.model_validate((await self._service.pools.get(pool_id)).spec)
        by_labeller: dict[str, dict[str, LabelRequest]] = {}
        for labeller, label in _labels(tasks):
            by_labeller.setdefault(labeller, {})[str(label.id)] = label
        answers = {who: checked(list(labels.values()), plan.data) for who, labels in by_labeller.items()}
        await self._check_known(pool_id, {one.id for some in answers.values() for one in some})
        total = AnswerCounts(stored=0, corrected=0, unchanged=0)
        for labeller, some in answers.items():
            counts = await self._service.pools.answer(pool_id, labeller, some, need_lease=False)
            total = AnswerCounts(
                stored=total.stored + counts.stored, corrected=total.corrected + counts.corrected,
                unchanged=total.unchanged + counts.unchanged,
            )  # fmt: skip
        return await self._service.answered(pool_id, total)

    async def webhook(
        self, pool_id: str, body: bytes, *, signature: str | None, token: str | None
    ) -> LabelsAnswer | None:
        """Takes in one event; None for one that is about something else.

        Raises:
            SignatureError: it does not prove where it comes from.
            MalformedError: no event of Label Studio.
        """
        check_signature(self._service.webhook_secret, body, signature, token)
        event = parse_json(body)
        if not isinstance(event, dict) or not isinstance(event.get("action"), str):
            raise MalformedError("no event of Label Studio: it has no action")
        if event["action"] not in TAKEN:
            return None
        task, annotation = event.get("task"), event.get("annotation")
        if not isinstance(task, dict) or not isinstance(annotation, dict):
            raise MalformedError("an event of Label Studio about an annotation has task and annotation",
                                 hint="Turn on 'send payload' of the webhook.")  # fmt: skip
        return await self.take_in(pool_id, [task | {"annotations": [annotation]}])

    async def _check_known(self, pool_id: str, ids: set[str]) -> None:
        """Several labellers are several transactions: what can be refused is refused before the first."""
        unknown = sorted(ids - {item.id for item in await self._service.pools.items(pool_id)})
        if unknown:
            raise SpecError.at("data.mts_row_id", unknown[0], f"{len(unknown)} rows were never handed out",
                               hint="Import tasks that were exported from this pool.")  # fmt: skip


def _task(pool_id: str, item: PoolItem) -> dict[str, Any]:
    data = {ROW_ID: item.id, POOL_ID: pool_id} | {
        _field(name): "" if value is None else str(value) for name, value in item.cells.items()
    }
    return {"data": data, "meta": {"part": item.part, "why": item.why, "score": item.score}}


def _field(column: str) -> str:
    """A name that Label Studio's $variables take."""
    return "c_" + "".join(letter if letter.isalnum() else "_" for letter in column)


def _config(plan: PoolSpec, columns: Sequence[str]) -> str:
    rows = "".join(
        f"<Header value={quoteattr(name)}/><Text name={quoteattr(_field(name))} value={quoteattr('$' + _field(name))}/>"
        for name in columns
    )
    to = quoteattr(_field(columns[0]) if columns else ROW_ID)
    if plan.data.task == "regression":
        control = f'<Number name="label" toName={to} required="true"/>'
    else:
        choices = "".join(f"<Choice value={quoteattr(name)}/>" for name in plan.data.classes)
        control = f'<Choices name="label" toName={to} choice="single" required="true">{choices}</Choices>'
    return f"<View>{rows}{control}</View>"


def _labels(tasks: Any) -> Iterator[tuple[str, LabelRequest]]:
    if not isinstance(tasks, list):
        raise MalformedError("an export of Label Studio is a list of tasks", hint="Export as JSON, not JSON-MIN.")
    for number, task in enumerate(tasks):
        data = task.get("data") if isinstance(task, dict) else None
        if not isinstance(data, dict) or ROW_ID not in data:
            raise MalformedError(f"task {number} has no data.{ROW_ID}", hint="Import tasks exported from this pool.")
        annotations = task.get("annotations") or []
        if not isinstance(annotations, list):
            raise MalformedError(f"the annotations of task {number} are no list")
        for annotation in annotations:
            if not isinstance(annotation, dict):
                raise MalformedError(f"an annotation of task {number} is no object")
            yield _who(annotation), _label(str(data[ROW_ID]), annotation, number)


def _who(annotation: Mapping[str, Any]) -> str:
    by = annotation.get("completed_by")
    if isinstance(by, dict):
        by = by.get("email") or by.get("id")
    return f"label-studio:{by if isinstance(by, str | int) else 'unknown'}"[:100]


def _label(row_id: str, annotation: Mapping[str, Any], task: int) -> LabelRequest:
    if annotation.get("was_cancelled"):
        return LabelRequest(id=row_id, verdict="skip")
    results = annotation.get("result")
    for result in results if isinstance(results, list) else []:
        value = result.get("value") if isinstance(result, dict) and result.get("from_name") == "label" else None
        if not isinstance(value, dict):
            continue
        given = value.get("number")
        choices = value.get("choices")
        if isinstance(choices, list) and len(choices) == 1:
            given = choices[0]
        if isinstance(given, str | int | float):
            return LabelRequest(id=row_id, label=given)
        raise MalformedError(f"task {task} has the label {shown(value)}; one choice or one number is expected")
    raise MalformedError(f"task {task} has an annotation without a result for 'label'")
