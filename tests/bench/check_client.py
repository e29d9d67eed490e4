"""Calls Check on a running plugin; a process of its own, as the wire messages must not meet Pulumi's SDK.

python check_client.py PORT CALLS < {"token": "hex of the inputs"}
"""

from __future__ import annotations

import json
import statistics
import sys
import time

import grpc
from google.protobuf import struct_pb2

from sandbox.protos import provider_pb2, provider_pb2_grpc


def main(port: str, calls: str) -> None:
    stub = provider_pb2_grpc.ResourceProviderStub(grpc.insecure_channel(f"127.0.0.1:{port}"))
    arguments = struct_pb2.Struct()
    arguments["region"] = "us-east-1"
    stub.Configure(provider_pb2.ConfigureRequest(args=arguments))
    result = {}
    for token, encoded in json.load(sys.stdin).items():
        news = struct_pb2.Struct.FromString(bytes.fromhex(encoded))
        request = provider_pb2.CheckRequest(urn=f"urn:pulumi:s::p::{token}::n", news=news)
        times = []
        for _ in range(int(calls)):
            started = time.perf_counter()
            answer = stub.Check(request)
            times.append(time.perf_counter() - started)
        assert not answer.failures, answer.failures
        result[token] = round(statistics.median(times) * 1000, 3)
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:3])
