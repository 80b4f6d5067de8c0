"""Whole buckets: which objects there are to measure, and their bytes.

Everything takes a client of boto3 or botocore as an argument and yields objects one by one, in a constant amount of
memory. The command `intensity bulk` and runs on AWS share it. It needs botocore; the rest of the library does not.
"""
