"""The whole service on one machine: page, API, processor and cache, without Docker and AWS."""
