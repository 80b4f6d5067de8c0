"""Direct uploads on this machine, to a route of this server. It takes the announced file and no other, as S3 does."""

from __future__ import annotations

import hashlib
import shutil
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from contract.problems import ProblemCode, ProblemError
from gateway.http.body import FORM_BYTES
from gateway.http.problems import malformed
from gateway.measuring.direct_uploads import MOST_SECONDS, DirectUploads, make_s3_client, too_large_for_service
from local_server.bodies import UPLOAD_PATH, current
from local_server.measuring import BUCKET, path_of

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from gateway.measuring.direct_uploads import Ticket

# As on S3, where the lifecycle of the bucket deletes them.
KEPT_SECONDS = 86_400
# Of a form: those that a ticket has, and some more that a client adds.
MOST_FIELDS, FIELD_BYTES = 20, 16 * 1024
FORBIDDEN_DETAIL = "This is not a form of this service, or it was changed or has expired. Call POST /uploads for one."


class FolderUploads(DirectUploads):
    def __init__(self, folder: Path, secret_key: str) -> None:
        # It asks no storage.
        super().__init__(make_s3_client, BUCKET, secret_key)
        self.folder = folder
        (folder / "uploads").mkdir(exist_ok=True)
        self.forms = URLSafeTimedSerializer(secret_key, salt="form", signer_kwargs={"digest_method": hashlib.sha256})

    def form(self, ticket: Ticket, content_type: str) -> dict[str, Any]:
        fields = {"key": ticket.key, "Content-Type": content_type, "sha256": ticket.sha256}
        body = current.get()
        # How the client of the request calls this server.
        address = str(Request(body.scope).base_url).rstrip("/") if body else ""
        form = {**fields, "policy": self.forms.dumps(fields)}
        return {"url": f"{address}{UPLOAD_PATH}", "fields": form}

    def check(self, fields: dict[str, Any]) -> None:
        """Raise ProblemError unless these are the fields of a form that has not expired."""
        policy = str(fields.pop("policy", ""))
        with suppress(BadData):
            if fields == self.forms.loads(policy, MOST_SECONDS):
                return
        raise ProblemError(ProblemCode.FORBIDDEN, FORBIDDEN_DETAIL)

    def keep(self, file: BinaryIO, key: str, sha256: str) -> None:
        for old in (self.folder / "uploads").iterdir():
            with suppress(FileNotFoundError):
                if old.stat().st_mtime < time.time() - KEPT_SECONDS:
                    old.unlink()
        file.seek(0)
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:  # type: ignore[arg-type]
            raise ProblemError(ProblemCode.UPLOAD_MISMATCH)
        file.seek(0)
        target = path_of(self.folder, key)
        part = target.with_suffix(f".{time.monotonic_ns()}")
        with part.open("wb") as copy:
            shutil.copyfileobj(file, copy, 1 << 20)
        part.rename(target)


def upload_router(uploads: FolderUploads, max_bytes: int) -> APIRouter:
    """Return the route that takes files of up to `max_bytes`. It is not one of the API: forms lead to it."""
    router = APIRouter()

    @router.post(UPLOAD_PATH, include_in_schema=False)
    async def upload(request: Request) -> Response:
        declared = request.headers.get("content-length", "")
        if not declared.isdigit():
            raise malformed("Send the form with its Content-Length.")
        if int(declared) > max_bytes + FORM_BYTES:
            raise too_large_for_service(max_bytes)
        try:
            async with request.form(max_files=1, max_fields=MOST_FIELDS, max_part_size=FIELD_BYTES) as form:
                fields: dict[str, Any] = dict(form)
                file = fields.pop("file", None)
                uploads.check(fields)
                if not isinstance(file, UploadFile):
                    raise malformed("The form has no file in the field file.")
                await run_in_threadpool(uploads.keep, file.file, fields["key"], fields["sha256"])
        except HTTPException as error:
            raise malformed(f"The form cannot be read: {error.detail}") from error
        return Response(status_code=204)

    return router
