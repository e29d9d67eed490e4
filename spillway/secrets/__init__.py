"""`spillway secrets`: one certificate and the API keys, in the secret store of every region.

pem.py, keys.py    what is sound (pure)
store.py           one region's store as a protocol; aws.py, azure.py, gcp.py, sandbox.py are such stores
stores.py          which store a stack file means
work.py            push, show and change over several regions, with a result for each
command.py, view.py  the command line
"""
