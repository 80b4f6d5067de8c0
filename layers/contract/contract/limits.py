"""The limits that more than one part needs, with where each number comes from."""

from __future__ import annotations

# A synchronous Lambda invocation, request or response, is at most 6 MB of JSON.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
LAMBDA_PAYLOAD_BYTES = 6_291_456

# The promised size of an upload, 5 MB: the Flask service that this one replaces had the same.
DEFAULT_MAX_CONTENT_LENGTH = 5_242_880

# Above the sensors in common use (50 MP phones, 61 MP full frame); the memory that it costs is in infra/decisions.md.
DEFAULT_MAX_IMAGE_PIXELS = 64_000_000

# What goes straight to S3, and from there to the processor; its memory is chosen for these (infra/decisions.md).
DEFAULT_MAX_UPLOAD_BYTES = 100_000_000
DEFAULT_MAX_UPLOAD_PIXELS = 200_000_000

# Every scan of a progressive JPEG costs a pass over all pixels, however few bytes it has, so the pixel limit does not
# bound the work. Encoders write about ten; 100 is what libvips allows.
MAX_JPEG_SCANS = 100
# So 64 million pixels may have 20 scans, and 12 million all 100: 2 s of work, as infra/decisions.md adds up.
MAX_JPEG_SCAN_PIXELS = 1_280_000_000
