"""Runs on AWS: what `intensity runs` does here, and what it shares with the functions in functions/runs/.

`layout` says where everything of a run is in the bucket of results. The functions write it, and
the command reads it.
"""
