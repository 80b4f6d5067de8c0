"""The HTTP API. `http` has requests and answers, `measuring` the cache, the processor and direct uploads."""
