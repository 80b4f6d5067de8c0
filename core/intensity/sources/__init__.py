"""What there is to measure, and its bytes: files and folders of this machine, and objects of buckets.

Everything is found one by one, in a constant amount of memory. The command and runs on AWS share it. What reads buckets
takes a client of boto3 or botocore, and needs botocore; the rest of the library does not.
"""
