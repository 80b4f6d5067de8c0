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

# The most memory that decoding may take. Pixels alone do not tell: a progressive CMYK JPEG takes three times as much
# for each as a baseline JPEG. With a file of 100 MB, its copy without metadata and the imports it is 1,700 MB, under
# the 1,769 MB of the processor; and nothing of DEFAULT_MAX_IMAGE_PIXELS, nor a 4:2:0 JPEG of 200 million, takes more.
MAX_DECODED_BYTES = 1_450_000_000

# Every scan of a progressive JPEG costs a pass over all pixels, however few bytes it has, so the pixel limit does not
# bound the work. Encoders write about ten; 100 is what libvips allows.
MAX_JPEG_SCANS = 100
# So 200 million pixels may have 11 scans (libjpeg writes 10), 120 million CMYK ones 18 (as libjpeg does), and 22
# million all 100: 3 s of work, as infra/decisions.md adds up.
MAX_JPEG_SCAN_PIXELS = 2_200_000_000

# Each segment or chunk costs a turn in Python, however few bytes it has: a file of 100 MB has place for 25 million
# empty segments, or 8 million chunks. In honest files, metadata comes in segments of 64 KB (1,600 of them at the most)
# and a scan has a few; image data comes in chunks of 8 KB (libpng; 12,500 of them) or, rarely, down to one per row.
# Any file of DEFAULT_MAX_CONTENT_LENGTH is below the second.
MAX_JPEG_SEGMENTS = 10_000
MAX_PNG_CHUNKS = 500_000
