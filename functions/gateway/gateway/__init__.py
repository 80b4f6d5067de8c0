"""The HTTP API. `http` has requests and answers, `measuring` the cache, the processor and direct uploads."""

__version__ = "0.1.0"
