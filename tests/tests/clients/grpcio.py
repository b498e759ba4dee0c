# SPDX-License-Identifier: Apache-2.0
"""Calls the CRI as agents in Python do, over gRPC's C core: grpcio.py SOCKET AUTHORITY.

AUTHORITY is empty for what grpcio sends by itself. Messages are bytes, so that no generated code is needed. Says "watching"
when its stream of events is open and waits for a line; then prints a line of JSON.
"""
import concurrent.futures
import json
import sys

import grpc


def text(number, value):
    value = value.encode()
    assert len(value) < 128
    return bytes([number << 3 | 2, len(value)]) + value


def status_of(call):
    try:
        call()
        return "OK"
    except grpc.RpcError as error:
        return error.code().name


def main(socket, authority):
    options = [("grpc.default_authority", authority)] if authority else []
    channel = grpc.insecure_channel("unix:" + socket, options=options)
    prefix = "/runtime.v1.RuntimeService/"
    version = channel.unary_unary(prefix + "Version")
    events = channel.unary_stream(prefix + "GetContainerEvents")(b"")
    found = {"version": version(b"", timeout=60).decode(errors="replace")}
    print("watching", flush=True)
    sys.stdin.readline()
    found["events"] = [next(events).hex() for _ in range(4)]
    events.cancel()
    streamed = channel.unary_stream(prefix + "StreamContainers")(b"", timeout=60)
    found["streamed"] = b"".join(streamed).hex()
    found["listed"] = channel.unary_unary(prefix + "ListContainers")(b"", timeout=60).hex()
    status = channel.unary_unary(prefix + "ContainerStatus")
    found["absent"] = status_of(lambda: status(text(1, "no-such-container"), timeout=60))
    # More headers than a frame has room for, and a message of many frames.
    metadata = [("long-%d" % n, "x" * 500) for n in range(20)]
    found["long headers"] = status_of(lambda: version(b"", metadata=metadata, timeout=60))
    found["long message"] = status_of(lambda: version(bytes([0x7a, 0x80, 0x80, 0x40]) + b"x" * (1 << 20), timeout=60))
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        calls = [pool.submit(version, b"", timeout=60) for _ in range(500)]
        found["at once"] = len({call.result() for call in calls})
    print(json.dumps(found))


main(*sys.argv[1:])
