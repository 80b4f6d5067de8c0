"""The whole service in one process: page, API, processor and cache, without Docker and AWS."""
