"""Folders in object stores, gs://… and s3://…, as copies on the local disk.

Object stores cannot rename or append, and files, checkpoints and rows that are never half written
need both. A run in a bucket therefore works in a local copy, whose changes are sent to the bucket
while it works. The store is reached through fsspec: gcsfs or s3fs must be installed, and finds
credentials and endpoints as usual.
"""

from jaxgan.common.buckets.copies import adding_copy, fetched, reading_copy, working_copy
from jaxgan.common.buckets.lock import Lock
from jaxgan.common.buckets.mirror import Mirror
from jaxgan.common.buckets.store import Bucket, is_remote

__all__ = [
    "Bucket",
    "Lock",
    "Mirror",
    "adding_copy",
    "fetched",
    "is_remote",
    "reading_copy",
    "working_copy",
]
