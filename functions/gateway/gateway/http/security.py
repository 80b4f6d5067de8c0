"""What a browser may do with an answer. CloudFront, nginx and the local server say the same; a test compares them."""

from __future__ import annotations

# On every answer.
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]

# Swagger UI calls the API beside it. Its style sheet has its icons as data.
DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page_policy(upload_origin: str) -> str:
    """Return the Content-Security-Policy of the page.

    The page loads its own files, shows the chosen image (blob:), calls the API beside it, and uploads large images to
    `upload_origin`, which may be empty.
    """
    connect = " ".join(filter(None, ["connect-src 'self'", upload_origin]))
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; {connect}; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    )
