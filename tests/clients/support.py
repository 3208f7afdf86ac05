"""What the checks share: where the server is, pictures, inputs, and what a refusal must say."""

import struct
import sys
import zlib
from pathlib import Path

import grpc
import numpy as np
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2_grpc
from tritonclient.utils import InferenceServerException

ADDRESS = sys.argv[1]
ROOT = Path(__file__).resolve().parents[2]
# The longest that anything here may take, in seconds.
LIMIT = 60
# All checks, in the order in which they are declared.
CHECKS = []

# What the server was started with, as scripts/clients.sh says.
CLIP = ["clip_image", "clip_text", "clip_similarity", "clip_heatmap"]
CLIP += ["clip_grad_eclip", "clip_direct_effect"]
SERVED = [*CLIP, "yolo", "affine", "kinds", "halves"]
# Width and height of the pictures, in pixels.
WIDTH, HEIGHT = 64, 48


def check(function):
    """Makes a function a check, whose name is the first line of its documentation."""
    CHECKS.append(function)
    return function


def pixels(kind):
    """A colourful picture: [HEIGHT, WIDTH, 3] UINT8, RGB."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([x * 4 + kind * 40, y * 5, x * y + kind * 90], axis=-1).astype(np.uint8)


def png(kind):
    """The same as a PNG file."""

    def chunk(name, data):
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = b"".join(b"\0" + row.tobytes() for row in pixels(kind))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def strings(name, values):
    """A BYTES input."""
    tensor = triton.InferInput(name, [len(values)], "BYTES")
    tensor.set_data_from_numpy(np.array(values, dtype=np.object_))
    return tensor


def numbers(name, array, datatype):
    """An input of numbers."""
    tensor = triton.InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array)
    return tensor


def image(*kinds):
    """Those pictures as files."""
    return strings("IMAGE", [png(kind) for kind in kinds])


def text(*prompts):
    """Those prompts."""
    return strings("TEXT", [prompt.encode() for prompt in prompts])


def near(left, right):
    """Asserts that two arrays are equal but for their last digits, which a batch's size changes."""
    np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-4)


def refused(call, code, part):
    """Asserts that a call fails with this status and says this."""
    try:
        call()
    except InferenceServerException as error:
        assert error.status() == f"StatusCode.{code}", error
        assert part in error.message(), error
    else:
        raise AssertionError(f"nothing was refused, {code} was expected")


def stub(call):
    """What `call` makes of the protocol's bare stub, for what the client's own functions hide."""
    options = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(ADDRESS, options=options) as channel:
        return call(service_pb2_grpc.GRPCInferenceServiceStub(channel))
