"""Files that a spec can name once they are uploaded."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ray_app.api.auth import TRAINER, VIEWER, Trainer
from ray_app.api.context import Use
from ray_app.api.errors import UnsupportedMediaError
from ray_app.api.parameters import Cursor, Limit, known_parameters
from ray_app.api.responses import API, documented, json_response
from ray_app.services.documents import MalformedError
from training.data.uploads import Upload, UploadPage
from training.errors import shown

MAX_FIELDS = 8
"""Read before the form is refused for the first that is unknown."""
UPLOADS_PATH = f"{API}/datasets"
router = APIRouter(prefix=UPLOADS_PATH, tags=["data"], dependencies=[Depends(known_parameters)])
FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "additionalProperties": False,
                    "properties": {"file": {"type": "string", "format": "binary", "description": "CSV or Parquet."}},
                },
                "example": {"file": "@loans.parquet"},
            }
        },
    }
}


@router.post(
    "",
    status_code=201,
    response_model=None,
    responses=documented(Upload, 400, 413, 415, 422, 429, success=201),
    openapi_extra=FORM,
)
async def upload(request: Request, services: Use, caller: Trainer) -> Response:
    """Keeps a CSV or Parquet file; a spec names it as `{"type": "upload", "id": …}`."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise UnsupportedMediaError(
            "a file is uploaded as a form", hint="Send multipart/form-data with a field `file`."
        )
    try:
        form = await request.form(max_files=1, max_fields=MAX_FIELDS)
    except HTTPException as error:  # what Starlette makes of a MultiPartException inside an application
        raise MalformedError(f"not a form: {error.detail}", hint="curl -F file=@loans.parquet …") from None
    except ClientDisconnect:
        raise MalformedError("the upload broke off; nothing of it is kept") from None
    try:
        unknown = sorted(name for name in form if name != "file")
        if unknown:
            raise MalformedError(f"unknown field {shown(unknown[0])!r}", hint="The form has one field, `file`.")
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise MalformedError("the form has no file in the field `file`", hint="curl -F file=@loans.parquet …")
        kept = await services.datasets.keep(file.file, file.filename or "", caller.id)
    finally:
        await form.close()
    return json_response(kept, 201)


@router.get("", dependencies=[Depends(VIEWER)], response_model=None, responses=documented(UploadPage, 422))
async def list_uploads(services: Use, *, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Uploads, newest first."""
    return json_response(await services.datasets.page(limit=limit, cursor=cursor))


@router.delete(
    "/{dataset_id}",
    dependencies=[Depends(TRAINER)],
    status_code=204,
    response_class=Response,
    responses={404: {"description": ""}, 401: {"description": ""}, 403: {"description": ""}},
)
async def delete_upload(dataset_id: str, services: Use) -> Response:
    """Removes an upload; jobs that were trained on it keep their snapshots."""
    await services.datasets.remove(dataset_id)
    return Response(status_code=204)
