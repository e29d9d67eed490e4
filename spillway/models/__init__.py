"""`spillway models`: revisions of weights in the model bucket of every region.

manifest.py, folder.py   what a revision is, and a local folder as one
store.py                 one bucket as a protocol; s3.py, blob.py, gcs.py, directory.py are such stores
stores.py                which bucket a stack file means
transfer.py              files into a bucket, in parts, hashed on the way
revisions.py             what a bucket holds, what is kept, what is whole
pointer.py               the one line of a stack file that says which revision is served
work.py                  push, sync, list, verify and prune over several regions
command.py, view.py      the command line
"""
