"""Direct uploads on this machine: the form of a ticket leads to a route of this server, which keeps the file.

On AWS, S3 does the same: it refuses every form and every file but the one that was announced.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import time
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.datastructures import Headers, UploadFile
from starlette.exceptions import HTTPException

from contract.problems import ProblemCode, ProblemError
from gateway.http.body import FORM_BYTES
from gateway.http.problems import malformed
from gateway.measuring.direct_uploads import MOST_SECONDS, DirectUploads, Form, Offer, too_large_for_service
from local_server.measuring import BUCKET, path_of

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from starlette.types import ASGIApp, Receive, Scope, Send

    from gateway.measuring.direct_uploads import Ticket

PATH = "/uploads/file"
# As on S3, where the lifecycle of the bucket deletes them.
KEPT_SECONDS = 86_400
# Of a form: those that a ticket has, and some more that a client adds.
MOST_FIELDS, FIELD_BYTES = 20, 16 * 1024
FORBIDDEN_DETAIL = "This is not a form of this service, or it was changed or has expired. Call POST /uploads for one."
# The address by which the client of the current request knows this server.
address: ContextVar[str] = ContextVar("address", default="")


class AddressMiddleware:
    """Notes how a client that asks for a form calls this server."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/uploads":
            address.set(f"{scope['scheme']}://{Headers(scope=scope).get('host', '')}")
        await self.app(scope, receive, send)


class FolderUploads(DirectUploads):
    """Direct uploads into a folder."""

    def __init__(self, folder: Path, secret_key: str) -> None:
        super().__init__(no_client, BUCKET, secret_key)
        self.folder = folder
        (folder / "uploads").mkdir(exist_ok=True)
        self.forms = URLSafeTimedSerializer(secret_key, salt="form", signer_kwargs={"digest_method": hashlib.sha256})

    def offer(self, ticket: Ticket, content_type: str | None) -> Offer:
        expires_at = datetime.fromtimestamp(int(time.time()) + ticket.seconds, UTC)
        return Offer(self.sign(ticket), expires_at, self.form(ticket, content_type) if content_type else None)

    def form(self, ticket: Ticket, content_type: str) -> Form:
        fields = {
            "key": ticket.key,
            "Content-Type": content_type,
            "x-amz-checksum-algorithm": "SHA256",
            "x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(ticket.sha256)).decode(),
        }
        policy: Any = self.forms.dumps({"fields": fields, "size": ticket.size, "seconds": ticket.seconds})
        return Form(address.get() + PATH, {**fields, "policy": policy})

    def policy(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return what was signed with a form. Raises ProblemError if the fields are others, or the form has expired."""
        try:
            policy, signed = self.forms.loads(str(fields.pop("policy", "")), MOST_SECONDS, return_timestamp=True)
        except BadData as error:
            raise ProblemError(ProblemCode.FORBIDDEN, FORBIDDEN_DETAIL) from error
        if fields != policy["fields"] or time.time() - signed.timestamp() > policy["seconds"]:
            raise ProblemError(ProblemCode.FORBIDDEN, FORBIDDEN_DETAIL)
        return dict(policy)

    def keep(self, file: BinaryIO, policy: dict[str, Any]) -> None:
        """Keep a file, if it is the announced one. Raises ProblemError."""
        forget_old(self.folder / "uploads")
        size = file.seek(0, 2)
        if size != policy["size"]:
            raise mismatch(f"it has {size:,} bytes and not {policy['size']:,}")
        file.seek(0)
        sha256 = hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type]
        if base64.b64encode(sha256).decode() != policy["fields"]["x-amz-checksum-sha256"]:
            raise mismatch("it has another SHA-256")
        file.seek(0)
        target = path_of(self.folder, policy["fields"]["key"])
        part = target.with_suffix(f".{time.monotonic_ns()}")
        with part.open("wb") as copy:
            shutil.copyfileobj(file, copy, 1 << 20)
        part.rename(target)


def upload_router(uploads: FolderUploads, max_bytes: int) -> APIRouter:
    """Return the route that takes files of up to `max_bytes`. It is not one of the API: forms lead to it."""
    router = APIRouter()

    @router.post(PATH, include_in_schema=False)
    async def upload(request: Request) -> Response:
        declared = request.headers.get("content-length", "")
        if not declared.isdigit():
            raise malformed("Send the form with its Content-Length.")
        if int(declared) > max_bytes + FORM_BYTES:
            raise too_large_for_service(max_bytes)
        try:
            async with request.form(max_files=1, max_fields=MOST_FIELDS, max_part_size=FIELD_BYTES) as form:
                fields = dict(form)
                file = fields.pop("file", None)
                policy = uploads.policy(fields)
                if not isinstance(file, UploadFile):
                    raise malformed("The form has no file in the field file.")
                await run_in_threadpool(uploads.keep, file.file, policy)
        except HTTPException as error:
            raise malformed(f"The form cannot be read: {error.detail}") from error
        return Response(status_code=204)

    return router


def forget_old(folder: Path) -> None:
    """Delete the files that nobody can have measured any more."""
    for file in folder.iterdir():
        with suppress(FileNotFoundError):
            if file.stat().st_mtime < time.time() - KEPT_SECONDS:
                file.unlink()


def mismatch(difference: str) -> ProblemError:
    return ProblemError(ProblemCode.UPLOAD_MISMATCH, f"The uploaded file is not the announced one: {difference}.")


def no_client() -> Any:  # noqa: ANN401 - it is never asked for
    raise NotImplementedError
