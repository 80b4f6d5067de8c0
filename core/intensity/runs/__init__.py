"""Runs on AWS: whole buckets, measured by AWS Step Functions. `intensity runs` starts, watches and fetches them.

`layout` says where everything of a run is in the bucket of results. The functions in functions/runs/ write it, and the
command reads it.
"""
