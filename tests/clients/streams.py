"""Many requests at once: callbacks, threads, asyncio and `ModelStreamInfer`."""

import asyncio
import queue
import threading

import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from support import ADDRESS, LIMIT, check, image, near, numbers, refused, strings, text


class Answers:
    """Results and errors in the order in which callbacks bring them."""

    def __init__(self):
        self.queue = queue.Queue()

    def take(self, result, error):
        """The callback."""
        self.queue.put((result, error))

    def next(self):
        """The next one."""
        return self.queue.get(timeout=LIMIT)

    def good(self):
        """The next one, which must be a result."""
        result, error = self.next()
        assert error is None, error
        return result


@check
def many_at_once(client):
    """async: 32 requests, each with its own answer"""
    alone = [client.infer("clip_image", [image(kind)]).as_numpy("EMBEDDING") for kind in range(4)]
    answers = Answers()
    for at in range(32):
        client.async_infer("clip_image", [image(at % 4)], answers.take, request_id=str(at))
    seen = set()
    for _ in range(32):
        result = answers.good()
        at = int(result.get_response().id)
        near(result.as_numpy("EMBEDDING"), alone[at % 4])
        seen.add(at)
    assert seen == set(range(32)) and answers.queue.empty()


@check
def async_errors(client):
    """async: an error reaches its callback, a cancelled request says so"""
    answers = Answers()
    client.async_infer("clip_image", [text("a face")], answers.take)
    result, error = answers.next()
    assert result is None and error.status() == "StatusCode.INVALID_ARGUMENT", error
    assert "'TEXT' is no input; there is IMAGE" in error.message(), error
    call = client.async_infer("clip_image", [image(*range(64))], answers.take)
    call.cancel()
    result, error = answers.next()
    assert result is None and error.status() == "StatusCode.CANCELLED", error
    assert client.infer("clip_image", [image(0)]).as_numpy("EMBEDDING").shape[0] == 1


@check
def two_clients_at_once(_):
    """threads: two clients, two models, at once"""
    together = threading.Barrier(2, timeout=LIMIT)
    failed = []

    def run(rounds):
        try:
            with triton.InferenceServerClient(ADDRESS) as client:
                for at in range(8):
                    together.wait()
                    rounds(client, at)
        except BaseException as error:  # handed to the check, which raises it
            failed.append(error)
            together.abort()

    def tensors(client, at):
        x = np.full((2, 3), at, np.float32)
        result = client.infer("affine", [numbers("X", x, "FP32")])
        assert np.array_equal(result.as_numpy("Y"), x * 2 + 1)

    def pictures(client, at):
        result = client.infer("clip_similarity", [image(at % 4), text("a face", "a tooth")])
        near(result.as_numpy("SOFTMAX").sum(axis=1), [1])

    threads = [threading.Thread(target=run, args=[rounds]) for rounds in (tensors, pictures)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
        assert not thread.is_alive()
    if failed:
        raise failed[0]


@check
def asyncio_client(_):
    """asyncio: calls, two of them at once, a refusal and a stream"""

    async def requests():
        for at in range(8):
            yield {"model_name": "clip_image", "inputs": [image(at)], "request_id": str(at)}

    async def run():
        async with triton_aio.InferenceServerClient(ADDRESS) as client:
            assert await client.is_server_live() and await client.is_server_ready()
            assert (await client.get_server_metadata()).name == "veriframe"
            assert (await client.get_model_metadata("yolo")).inputs[0].name == "IMAGE"
            left, right = await asyncio.gather(
                client.infer("clip_image", [image(0)]), client.infer("clip_image", [image(1)])
            )
            both = np.concatenate([left.as_numpy("EMBEDDING"), right.as_numpy("EMBEDDING")])
            together = await client.infer("clip_image", [image(0, 1)])
            near(both, together.as_numpy("EMBEDDING"))
            try:
                await client.infer("nobody", [image(0)])
            except triton_aio.InferenceServerException as error:
                assert error.status() == "StatusCode.NOT_FOUND", error
            else:
                raise AssertionError("a model that is not there has answered")
            ids = []
            async for result, error in client.stream_infer(requests()):
                assert error is None, error
                ids.append(result.get_response().id)
            assert ids == [str(at) for at in range(8)], ids
            statistics = await client.get_inference_statistics("clip_image")
            assert statistics.model_stats[0].inference_stats.success.count >= 11

    asyncio.run(asyncio.wait_for(run(), LIMIT))


@check
def stream(client):
    """stream: answers in order; a bad request is answered in place and ends nothing"""
    answers = Answers()
    client.start_stream(answers.take)
    # More than are worked on at once.
    for at in range(24):
        bad = at % 5 == 3
        inputs = [strings("IMAGE", [b"no picture"])] if bad else [image(at)]
        client.async_stream_infer("clip_image", inputs, request_id=str(at))
    for at in range(24):
        if at % 5 == 3:
            result, error = answers.next()
            assert result is None and "'IMAGE' cannot decode" in error.message(), error
        else:
            assert answers.good().get_response().id == str(at)
    client.async_stream_infer("nobody", [image(0)])
    _, error = answers.next()
    assert "no inference model 'nobody'" in error.message(), error
    # Another model on the same stream.
    x = np.ones((1, 3), np.float32)
    client.async_stream_infer("affine", [numbers("X", x, "FP32")], request_id="affine")
    assert np.array_equal(answers.good().as_numpy("SUM"), [3])
    client.stop_stream()
    assert answers.queue.empty()


@check
def a_stream_answers_as_a_call_does(client):
    """stream: the same answer as a call's"""
    alone = client.infer("clip_image", [image(2)]).as_numpy("EMBEDDING")
    answers = Answers()
    client.start_stream(answers.take)
    client.async_stream_infer("clip_image", [image(2)])
    near(answers.good().as_numpy("EMBEDDING"), alone)
    client.stop_stream()


@check
def final_response(client):
    """stream: triton_final_response, for clients of decoupled models"""
    answers = Answers()
    client.start_stream(answers.take)
    for at in range(3):
        client.async_stream_infer(
            "clip_text", [text("a face")], request_id=str(at), enable_empty_final_response=at == 1
        )
        # As such clients do: read until the response that says it is the last.
        response = answers.good().get_response()
        assert response.id == str(at) and len(response.outputs) == 2
        assert response.parameters["triton_final_response"].bool_param, response.parameters
    client.stop_stream()
    assert answers.queue.empty(), "a response came after the last one"


@check
def a_stream_is_left(client):
    """stream: one that is cancelled with work on it, and a deadline of one"""
    answers = Answers()
    client.start_stream(answers.take)
    for _ in range(16):
        client.async_stream_infer("clip_image", [image(*range(32))])
    client.stop_stream(cancel_requests=True)
    client.start_stream(answers.take, stream_timeout=0.2)
    while True:
        _, error = answers.next()
        if error is not None and error.status() == "StatusCode.DEADLINE_EXCEEDED":
            break
    client.stop_stream()
    assert client.infer("clip_image", [image(0)]).as_numpy("EMBEDDING").shape[0] == 1
    refused(lambda: client.infer("nobody", [image(0)]), "NOT_FOUND", "nobody")
