"""The HTTP API: uploads, request ids, CORS, limits, the cache, and problems as RFC 9457 tells them."""

__version__ = "0.1.0"
