"""Measuring in processes that can be ended.

An image and its measurement take this way:

    HTTP worker       → broker             what to measure, in JSON; behind it the bytes of the image
    broker            → measuring process  that JSON and the connection, when it is the image's turn
    measuring process                      reads the bytes of the image from the connection
    measuring process → broker             the memory that decoding needs, if that is more than 16 MB
    broker            → measuring process  "go", when there is so much
    measuring process → HTTP worker        the answer: one line of JSON, as in the contract
    measuring process → broker             "done"; or why there is no answer, and then the broker gives one

So the bytes of an image go straight to the process that measures it. Until its turn they are in the worker alone: the
kernel takes no more than 200 KB. An image in S3 is read by the measuring process.
"""
