"""What models answer: `ModelInfer`, one request at a time."""

import contextlib
import io
import os
import re
import tempfile

import grpc
import ml_dtypes
import numpy as np
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2
from support import ADDRESS, HEIGHT, LIMIT, ROOT, WIDTH, check, image, near, numbers, pixels
from support import png, refused, strings, stub, text

# What goes into the module `kinds`, by datatype, and the list of typed contents that holds it.
KINDS = {
    "BOOL": (np.array([[True, False], [False, True]]), "bool_contents"),
    "UINT8": (np.array([[0, 1], [7, 254]], np.uint8), "uint_contents"),
    "INT8": (np.array([[-128, -1], [0, 126]], np.int8), "int_contents"),
    "INT16": (np.array([[-32768, -1], [0, 32766]], np.int16), "int_contents"),
    "INT32": (np.array([[-(2**31), -1], [0, 2**31 - 2]], np.int32), "int_contents"),
    "INT64": (np.array([[-(2**63), -1], [0, 2**63 - 2]], np.int64), "int64_contents"),
    "FP32": (np.array([[0.1, -1e-30], [0, 1e30]], np.float32), "fp32_contents"),
    "FP64": (np.array([[0.1, -1e-300], [0, 1e300]], np.float64), "fp64_contents"),
}
# And into `halves`: these have only a raw form.
HALVES = {
    "FP16": np.array([[0.5, -1.25], [0, 1000]], np.float16),
    "BF16": np.array([[0.5, -1.25], [0, 1024]], ml_dtypes.bfloat16),
}


def changed(given):
    """What those modules give for `given`."""
    if given.dtype == bool:
        return ~given
    return given + given.dtype.type(1) if given.dtype.kind in "iu" else given + given


@check
def files_and_pixels_agree(client):
    """infer: encoded pictures (BYTES) and pixels (UINT8) are one picture"""
    files = client.infer("clip_image", [image(0, 1)], request_id="seven")
    told = files.get_response()
    assert (told.id, told.model_name, told.model_version) == ("seven", "clip_image", "1")
    files = files.as_numpy("EMBEDDING")
    raw = numbers("IMAGE", np.stack([pixels(0), pixels(1)]), "UINT8")
    raw = client.infer("clip_image", [raw]).as_numpy("EMBEDDING")
    assert files.shape == raw.shape and files.shape[0] == 2 and files.dtype == np.float32
    near(files, raw)
    near(np.linalg.norm(files, axis=1), [1, 1])
    assert np.abs(files[0] - files[1]).max() > 1e-3, "both pictures have one embedding"


@check
def every_picture_format(client):
    """infer: JPEG, PNG, WebP, BMP, GIF and TIFF in one request"""
    suffixes = {".jpg", ".png", ".webp", ".bmp", ".gif", ".tiff"}
    files = sorted((ROOT / "tests/golden/pictures").iterdir())
    files = [file for file in files if file.suffix in suffixes]
    assert {file.suffix for file in files} == suffixes, files
    pictures = strings("IMAGE", [file.read_bytes() for file in files])
    embeddings = client.infer("clip_image", [pictures]).as_numpy("EMBEDDING")
    assert len(embeddings) == len(files)
    near(np.linalg.norm(embeddings, axis=1), np.ones(len(files)))
    of = {file.name: embedding for file, embedding in zip(files, embeddings)}
    for lossless in ["rgb.bmp", "lossless.webp", "lzw.tiff"]:
        near(of[lossless], of["rgb.png"])


@check
def typed_contents(_):
    """infer: typed contents in and out, pictures and texts"""
    request = service_pb2.ModelInferRequest(model_name="clip_similarity")
    for name, elements in [("IMAGE", [png(0)]), ("TEXT", ["a face".encode(), "얼굴".encode()])]:
        tensor = request.inputs.add(name=name, datatype="BYTES", shape=[len(elements)])
        tensor.contents.bytes_contents.extend(elements)
    raw = stub(lambda stub: stub.ModelInfer(request, timeout=LIMIT))
    assert len(raw.raw_output_contents) == 4 and not raw.outputs[0].HasField("contents")
    request.parameters["binary_data_output"].bool_param = False
    typed = stub(lambda stub: stub.ModelInfer(request, timeout=LIMIT))
    assert not typed.raw_output_contents
    for output, elements in zip(typed.outputs, raw.raw_output_contents):
        assert output.shape == [1, 2]
        near(output.contents.fp32_contents, np.frombuffer(elements, np.float32))


@check
def the_text_tower(client):
    """infer: texts, and which of them were cut"""
    prompts = ["a face", "얼굴", "a face with uneven teeth " * 60]
    result = client.infer("clip_text", [text(*prompts)])
    embeddings = result.as_numpy("EMBEDDING")
    assert embeddings.shape[0] == 3 and embeddings.dtype == np.float32
    near(np.linalg.norm(embeddings, axis=1), [1, 1, 1])
    truncated = result.as_numpy("TRUNCATED")
    assert truncated.dtype == bool and truncated.tolist() == [False, False, True]
    # A column of them is the same.
    column = triton.InferInput("TEXT", [2, 1], "BYTES")
    column.set_data_from_numpy(np.array([[b"a face"], ["얼굴".encode()]], dtype=np.object_))
    near(client.infer("clip_text", [column]).as_numpy("EMBEDDING"), embeddings[:2])


@check
def similarity_is_what_the_towers_say(client):
    """infer: scores are the product of both towers; only the outputs asked for"""
    prompts = text("a face", "uneven teeth", "even teeth")
    pictures = client.infer("clip_image", [image(0, 1)]).as_numpy("EMBEDDING")
    texts = client.infer("clip_text", [prompts]).as_numpy("EMBEDDING")
    names = ["SOFTMAX", "LOGIT", "COSINE"]
    outputs = [triton.InferRequestedOutput(name) for name in names]
    result = client.infer("clip_similarity", [prompts, image(0, 1)], outputs=outputs)
    assert [output.name for output in result.get_response().outputs] == names
    softmax, logit, cosine = (result.as_numpy(name) for name in names)
    near(cosine, pictures @ texts.T)
    scale = logit[0, 0] / cosine[0, 0]
    assert 1 <= scale <= 101, scale
    np.testing.assert_allclose(logit, scale * cosine, rtol=1e-3, atol=1e-3)
    powers = np.exp(logit - logit.max(axis=1, keepdims=True))
    near(softmax, powers / powers.sum(axis=1, keepdims=True))


@check
def heatmaps(client):
    """infer: heatmaps of both methods"""
    prompts = text("a face", "uneven teeth")
    contrast = client.infer("clip_similarity", [image(0, 1), prompts]).as_numpy("CONTRAST")
    for model in ["clip_grad_eclip", "clip_direct_effect"]:
        result = client.infer(model, [image(0, 1), prompts])
        maps = result.as_numpy("HEATMAP")
        side = client.get_model_metadata(model).outputs[0].shape[-1]
        assert maps.shape == (2, 2, side, side) and np.isfinite(maps).all()
        assert np.abs(maps[0, 0] - maps[0, 1]).max() > 0, f"{model} does not read the prompt"
        assert np.abs(maps[0, 0] - maps[1, 0]).max() > 0, f"{model} does not see the picture"
        statuses = {b"OK", b"CONSTANT", b"NOT_SPECIFIC", b"WEAK_CLAIM", b"UNDER_RESOLVED"}
        assert set(result.as_numpy("QUALITY").ravel()) <= statuses
        assert result.as_numpy("QUALITY").shape == (2, 2)
        near(result.as_numpy("CONTRAST"), contrast)
        for x1, y1, x2, y2 in result.as_numpy("AREA"):
            assert 0 <= x1 < x2 <= WIDTH and 0 <= y1 < y2 <= HEIGHT
        near(client.infer(model, [image(1), prompts]).as_numpy("HEATMAP")[0], maps[1])


@check
def every_heatmap_method(client):
    """infer: heatmaps by every method that a parameter can name, and by chosen layers"""
    prompts = text("uneven teeth")  # of two, score_cam would take too many passes
    properties = client.get_model_config("clip_heatmap").config.parameters
    methods = properties["methods"].string_value.split(",")
    assert {"grad_eclip", "legrad", "rollout", "ensemble"} <= set(methods), methods
    for method in methods:
        result = client.infer("clip_heatmap", [image(0), prompts], parameters={"method": method})
        told = result.get_response().parameters
        assert told["method"].string_param == method and told["layers"].string_param, method
        assert np.isfinite(result.as_numpy("HEATMAP")).all(), method
        hits = result.as_numpy("HIT_PROBABILITY")
        known = hits[~np.isnan(hits)]
        assert hits.shape == (1, 1) and ((0 <= known) & (known <= 1)).all(), (method, hits)
        if method in ["eigen_cam", "rollout"]:
            assert set(result.as_numpy("QUALITY").ravel()) == {b"NOT_SPECIFIC"}, method
    usual = client.infer("clip_heatmap", [image(0), prompts])
    assert usual.get_response().parameters["method"].string_param == "grad_eclip"
    assert not np.isnan(usual.as_numpy("HIT_PROBABILITY")).any(), "the demo model is calibrated"
    parameters = {"method": "layer_cam", "layers": "0,1"}
    layers = client.infer("clip_heatmap", [image(0), prompts], parameters=parameters)
    assert layers.get_response().parameters["layers"].string_param == "0,1"


@check
def boxes(client):
    """infer: boxes of two pictures, with parameters, and none at all"""
    parameters = {"min_confidence": 0.0, "max_detections": 4}
    result = client.infer("yolo", [image(0, 1)], parameters=parameters)
    found = result.as_numpy("BOXES")
    pictures = result.as_numpy("IMAGE_INDEX")
    assert found.shape[1] == 4 and set(pictures) == {0, 1} and np.bincount(pictures).max() <= 4
    assert (found[:, :2] <= found[:, 2:]).all() and found.min() >= 0
    assert (found[:, 2] <= WIDTH).all() and (found[:, 3] <= HEIGHT).all()
    scores = result.as_numpy("SCORES")
    assert scores.dtype == np.float32 and ((0 <= scores) & (scores <= 1)).all()
    labels = client.get_model_config("yolo").config.parameters["labels"].string_value.split(",")
    told = [label.decode() for label in result.as_numpy("LABELS")]
    assert told == [labels[at] for at in result.as_numpy("CLASSES")]
    none = client.infer("yolo", [image(0)], parameters={"min_confidence": 1.0})
    assert none.as_numpy("BOXES").shape == (0, 4)
    assert none.as_numpy("LABELS").shape == none.as_numpy("CLASSES").shape == (0,)


@check
def torchscript(client):
    """infer: a TorchScript module, one row to as many as it takes"""
    for rows in range(1, 5):
        x = np.arange(3 * rows, dtype=np.float32).reshape(rows, 3)
        result = client.infer("affine", [numbers("X", x, "FP32")])
        assert np.array_equal(result.as_numpy("Y"), x * 2 + 1)
        assert np.array_equal(result.as_numpy("SUM"), x.sum(axis=1))


@check
def every_datatype(client):
    """infer: every datatype of a module, raw"""
    for model, tensors in [("kinds", {kind: KINDS[kind][0] for kind in KINDS}), ("halves", HALVES)]:
        inputs = [numbers(f"X_{kind}", given, kind) for kind, given in tensors.items()]
        result = client.infer(model, inputs)
        for kind, given in tensors.items():
            output = result.as_numpy(f"Y_{kind}")
            assert output.dtype == given.dtype, (kind, output.dtype)
            assert np.array_equal(output, changed(given)), (kind, output)


@check
def every_typed_datatype(_):
    """infer: every datatype of a module, typed; half-precision kinds are refused"""

    def request(model, tensors):
        asked = service_pb2.ModelInferRequest(model_name=model)
        asked.parameters["binary_data_output"].bool_param = False
        for kind, (given, contents) in tensors.items():
            tensor = asked.inputs.add(name=f"X_{kind}", datatype=kind, shape=[2, 2])
            getattr(tensor.contents, contents).extend(given.ravel().tolist())
        return stub(lambda stub: stub.ModelInfer(asked, timeout=LIMIT))

    response = request("kinds", KINDS)
    assert len(response.outputs) == len(KINDS) and not response.raw_output_contents
    for output, (given, contents) in zip(response.outputs, KINDS.values()):
        told = np.array(getattr(output.contents, contents), given.dtype).reshape(output.shape)
        assert np.array_equal(told, changed(given)), output
    try:
        request("halves", {kind: (given, "fp32_contents") for kind, given in HALVES.items()})
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
        assert "is FP16, which has no typed contents" in error.details(), error
    else:
        raise AssertionError("FP16 was read from typed contents")


@check
def the_examples_of_the_documentation(_):
    """infer: the examples of docs/open-inference.md, as they are printed there"""
    page = (ROOT / "docs/open-inference.md").read_text(encoding="utf-8")
    examples = "".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    assert "127.0.0.1:50051" in examples and 'open("face.png", "rb")' in examples
    examples = examples.replace("127.0.0.1:50051", ADDRESS)
    printed, here = io.StringIO(), os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            with open("face.png", "wb") as file:
                file.write(png(0))
            with contextlib.redirect_stdout(printed):
                exec(compile(examples, "docs/open-inference.md", "exec"), {})
        finally:
            os.chdir(here)
    cosine, boxes = r"(un)?even teeth: -?\d\.\d{3}", r"\d+ boxes"
    lines, expected = printed.getvalue().splitlines(), [cosine] * 2 + [boxes] * 3
    assert len(lines) == len(expected) and all(map(re.fullmatch, expected, lines)), lines


@check
def what_does_not_fit(client):
    """refused: unknown models, wrong shapes and datatypes, with what was expected"""
    refused(lambda: client.infer("nobody", [image(0)]), "NOT_FOUND", "no inference model 'nobody'")
    refused(lambda: client.infer("clip_image", [image(0)], model_version="7"), "NOT_FOUND", "7")

    def invalid(part, model, inputs, **more):
        refused(lambda: client.infer(model, inputs, **more), "INVALID_ARGUMENT", part)

    invalid("'TEXT' is missing", "clip_similarity", [image(0)])
    invalid("'TEXT' is no input; there is IMAGE", "clip_image", [image(0), text("a face")])
    floats = numbers("IMAGE", np.zeros((1, 3), np.float32), "FP32")
    invalid("got FP32 [1, 3]", "clip_image", [floats])
    flat = numbers("IMAGE", np.zeros((HEIGHT, WIDTH, 3), np.uint8), "UINT8")
    invalid(f"got UINT8 [{HEIGHT}, {WIDTH}, 3]", "clip_image", [flat])
    invalid("contents[1]: 'IMAGE' cannot decode", "clip_image", [strings("IMAGE", [png(0), b"no"])])
    invalid("is no UTF-8", "clip_text", [strings("TEXT", [b"caf\xe9"])])
    for shape, datatype in [((2, 4), np.float32), ((5, 3), np.float32), ((2, 3), np.float64)]:
        kind = "FP32" if datatype == np.float32 else "FP64"
        got = f"'X' expects FP32 [3] after a batch of 1 to 4, got {kind} {list(shape)}"
        invalid(got, "affine", [numbers("X", np.zeros(shape, datatype), kind)])


@check
def what_contradicts_itself(_):
    """refused: contents that do not fit their shape, or stand there twice"""

    def invalid(part, fill):
        asked = service_pb2.ModelInferRequest(model_name="affine")
        fill(asked, lambda *shape: asked.inputs.add(name="X", datatype="FP32", shape=shape))
        try:
            stub(lambda stub: stub.ModelInfer(asked, timeout=LIMIT))
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
            assert part in error.details(), error
        else:
            raise AssertionError(f"nothing was refused: {part}")

    def raw(asked, *lengths):
        asked.raw_input_contents.extend(bytes(length) for length in lengths)

    invalid("needs 24 bytes, got 20", lambda asked, x: (x(2, 3), raw(asked, 20)))
    invalid("needs one for each input: 1", lambda asked, x: (x(1, 3), raw(asked, 12, 12)))
    invalid("must be 0 or more", lambda asked, x: (x(-1, 3), raw(asked, 12)))
    invalid("needs 3 elements by its shape, got 0", lambda asked, x: x(1, 3))
    invalid("'X' is there twice", lambda asked, x: (x(1, 3), x(1, 3), raw(asked, 12, 12)))
    both = "has contents beside raw_input_contents"
    invalid(
        both, lambda asked, x: (x(1, 3).contents.fp32_contents.extend([1, 2, 3]), raw(asked, 12))
    )


@check
def what_is_too_large(client):
    """refused: pictures, texts and messages beyond the limits"""

    def invalid(part, model, inputs):
        refused(lambda: client.infer(model, inputs), "INVALID_ARGUMENT", part)

    many = strings("IMAGE", [png(0)] * 65)
    invalid("has 65 pictures, must be 1 to 64", "clip_image", [many])
    heavy = strings("IMAGE", [png(0) + bytes(16 << 20)])
    invalid("contents[0]: 'IMAGE'", "clip_image", [heavy])
    invalid("inputs[0].contents[0]", "clip_text", [text("a" * 5000)])
    invalid("limit 256", "clip_text", [text(*["a face"] * 257)])
    huge = strings("IMAGE", [bytes(65 << 20)])
    refused(lambda: client.infer("clip_image", [huge]), "OUT_OF_RANGE", "limit")
    assert client.is_server_ready()


@check
def what_is_not_known(client):
    """refused: unknown outputs, parameters, classification and sequences"""

    def invalid(part, model="clip_image", **more):
        refused(lambda: client.infer(model, [image(0)], **more), "INVALID_ARGUMENT", part)

    unknown = triton.InferRequestedOutput("LOGITS")
    invalid("'LOGITS' is no output; there is EMBEDDING", outputs=[unknown])
    classes = triton.InferRequestedOutput("EMBEDDING", class_count=2)
    invalid("classification", outputs=[classes])
    invalid("sequence_id: is '5', but no model keeps state", sequence_id=5)
    invalid("'min_confidance' is unknown", "yolo", parameters={"min_confidance": 0.5})
    invalid("must be 0 to 1", "yolo", parameters={"min_confidence": 1.5})
    maps = [image(0), text("a face", "uneven teeth")]
    for parameters, part in [
        ({"method": "grad_cam++"}, "'grad_cam++' is unknown, known are grad_eclip, direct_effect"),
        ({"method": "legrad", "layers": "99"}, "cannot read layer 99, the model has layers 0 to"),
        ({"method": "grad_eclip", "layers": "0"}, "grad_eclip has no choice of layers"),
        ({"method": "score_cam"}, "forward passes, limit 256; a prompt takes: score_cam"),
    ]:

        def call(parameters=parameters):
            client.infer("clip_heatmap", maps, parameters=parameters)

        refused(call, "INVALID_ARGUMENT", part)
    shared = triton.InferInput("IMAGE", [1], "BYTES")
    shared.set_shared_memory("a", 64)
    refused(lambda: client.infer("clip_image", [shared]), "INVALID_ARGUMENT", "shared memory")


@check
def what_is_compressed(client):
    """refused: gzip and deflate, which this server does not read"""
    for algorithm in ["gzip", "deflate"]:

        def call(algorithm=algorithm):
            client.infer("clip_text", [text("a face")], compression_algorithm=algorithm)

        refused(call, "UNIMPLEMENTED", f"compressed with `{algorithm}`")
    client.infer("clip_text", [text("a face")])


@check
def deadlines(client):
    """refused: Triton's timeout, and gRPC's, when they have passed"""
    late = "DEADLINE_EXCEEDED"
    refused(lambda: client.infer("clip_image", [image(0)], timeout=1), late, "")
    refused(lambda: client.infer("clip_image", [image(0)], client_timeout=0.0001), late, "")
    for priority in [0, 1, 2, 3]:
        client.infer("clip_image", [image(0)], timeout=LIMIT * 1_000_000, priority=priority)
