"""The server and its models: what they are, how they do, and how they come and go."""

import collections
import threading
import time

import numpy as np
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException
from support import ADDRESS, CLIP, LIMIT, SERVED, check, image, numbers, refused, strings, stub


def becomes_ready(client):
    """Waits until the server says that it is ready; its address is told before."""
    until = time.monotonic() + LIMIT
    while not client.is_server_ready():
        assert time.monotonic() < until, f"the server is not ready after {LIMIT} s"
        time.sleep(0.05)


@check
def server_is_live_and_ready(client):
    """server: live, ready, and then so is every model"""
    assert client.is_server_live()
    becomes_ready(client)
    for name in [*SERVED, "clip"]:
        assert client.is_model_ready(name) and client.is_model_ready(name, "1"), name
    assert not client.is_model_ready("nobody") and not client.is_model_ready("clip_image", "7")
    assert not client.is_model_ready("spare"), "nobody has loaded it"


@check
def server_says_what_it_can(client):
    """server: metadata lists what is served and nothing else"""
    metadata = client.get_server_metadata(as_json=True)
    assert metadata["name"] == "veriframe" and metadata["version"], metadata
    extensions = set(metadata["extensions"])
    served = {"binary_tensor_data", "model_configuration", "model_repository", "parameters"}
    assert extensions == served | {"schedule_policy", "statistics"}, extensions


@check
def models_are_described(client):
    """models: metadata and configuration of each agree"""
    for name in SERVED:
        metadata = client.get_model_metadata(name)
        config = client.get_model_config(name).config
        assert metadata.name == config.name == name and metadata.versions == ["1"]
        assert metadata.platform == config.platform != ""
        # Where a model batches, only its metadata shows the side of the batch.
        batch = [-1] if config.max_batch_size > 0 else []
        for told, configured in [
            (metadata.inputs, config.input),
            (metadata.outputs, config.output),
        ]:
            assert len(told) == len(configured) > 0
            for tensor, other in zip(told, configured):
                assert tensor.name == other.name
                assert list(tensor.shape) == batch + list(other.dims), (name, tensor.name)
        assert config.dynamic_batching.priority_levels == 3
        assert not config.model_transaction_policy.decoupled
    refused(lambda: client.get_model_metadata("nobody"), "NOT_FOUND", "there is affine")
    refused(lambda: client.get_model_config("clip_image", "7"), "NOT_FOUND", "version 7")


@check
def tensors_are_described(client):
    """models: names, datatypes and shapes"""
    affine = client.get_model_config("affine", as_json=True)["config"]
    assert affine["max_batch_size"] == 4 and affine["platform"] == "pytorch_libtorch"
    assert affine["input"] == [{"name": "X", "data_type": "TYPE_FP32", "dims": ["3"]}], affine
    image_model = client.get_model_metadata("clip_image")
    (pictures,), (embeddings,) = image_model.inputs, image_model.outputs
    assert (pictures.name, pictures.datatype, list(pictures.shape)) == ("IMAGE", "BYTES", [-1])
    assert (embeddings.name, embeddings.datatype) == ("EMBEDDING", "FP32")
    answer = client.infer("clip_image", [image(0)]).as_numpy("EMBEDDING")
    assert list(embeddings.shape) == [-1, answer.shape[1]]
    kinds = client.get_model_metadata("kinds")
    assert [f"X_{tensor.datatype}" for tensor in kinds.inputs] == [t.name for t in kinds.inputs]


@check
def statistics(client):
    """statistics: successes, failures, items, batches and time grow"""

    def told():
        return client.get_inference_statistics("clip_image").model_stats[0]

    before = told()
    client.infer("clip_image", [image(0, 1, 2)])
    empty = strings("IMAGE", [b""])
    refused(lambda: client.infer("clip_image", [empty]), "INVALID_ARGUMENT", "IMAGE")
    after = told()
    old, new = before.inference_stats, after.inference_stats
    assert (after.name, after.version) == ("clip_image", "1")
    assert new.success.count == old.success.count + 1
    assert new.fail.count == old.fail.count + 1
    assert after.inference_count == before.inference_count + 3
    runs = after.execution_count - before.execution_count
    assert 1 <= runs <= 3, runs
    for part in ["success", "fail", "compute_input", "compute_infer", "compute_output"]:
        assert getattr(new, part).ns > getattr(old, part).ns, part
    assert new.queue.count == old.queue.count + 1 and new.queue.ns >= old.queue.ns
    batches = sum(batch.compute_infer.count for batch in after.batch_stats)
    assert batches == after.execution_count
    assert abs(after.last_inference / 1000 - time.time()) < LIMIT
    names = {model.name for model in client.get_inference_statistics().model_stats}
    assert names >= set(SERVED), names
    refused(lambda: client.get_inference_statistics("nobody"), "NOT_FOUND", "nobody")


@check
def repository(client):
    """repository: index; load makes ready, unload makes unready"""

    def index():
        models = client.get_model_repository_index().models
        return {(model.name, model.version): (model.state, model.reason) for model in models}

    loaded = ["affine", "clip", "halves", "kinds", "yolo"]
    names = sorted([*loaded, "broken", "spare"])
    assert sorted(index()) == [(name, "1") for name in names], index()
    assert index()[("yolo", "1")] == ("READY", "")
    assert index()[("spare", "1")] == ("UNAVAILABLE", "not loaded")
    ready = service_pb2.RepositoryIndexRequest(ready=True)
    ready = stub(lambda stub: stub.RepositoryIndex(ready, timeout=LIMIT)).models
    assert sorted(model.name for model in ready) == loaded, ready

    row = numbers("X", np.array([[1, 2, 3]], np.float32), "FP32")
    for _ in range(2):
        refused(lambda: client.infer("spare", [row]), "NOT_FOUND", "spare")
        client.load_model("spare")
        assert index()[("spare", "1")] == ("READY", "") and client.is_model_ready("spare")
        assert np.array_equal(client.infer("spare", [row]).as_numpy("Y"), [[3, 5, 7]])
        # To load what is loaded changes nothing.
        client.load_model("spare")
        assert client.get_model_metadata("spare").versions == ["1"]
        client.unload_model("spare", unload_dependents=True)
        assert index()[("spare", "1")][0] == "UNAVAILABLE" and not client.is_model_ready("spare")


@check
def a_clip_model_comes_and_goes_whole(client):
    """repository: a CLIP model goes with all that it is offered as, and comes back"""
    assert all(client.is_model_ready(name) for name in CLIP)
    before = client.infer("clip_image", [image(0)]).as_numpy("EMBEDDING")
    client.unload_model("clip")
    assert not any(client.is_model_ready(name) for name in [*CLIP, "clip"])
    assert client.is_model_ready("yolo") and client.is_server_live()
    refused(lambda: client.infer("clip_image", [image(0)]), "NOT_FOUND", "clip_image")
    client.load_model("clip")
    becomes_ready(client)
    assert all(client.is_model_ready(name) for name in CLIP)
    after = client.infer("clip_image", [image(0)]).as_numpy("EMBEDDING")
    assert np.allclose(before, after, atol=1e-5)


@check
def a_model_goes_while_it_is_used(client):
    """repository: requests in flight end well while their model comes and goes"""
    x = np.array([[1, 2, 3]], np.float32)
    stopped, outcomes, wrong = threading.Event(), collections.Counter(), []

    def ask():
        with triton.InferenceServerClient(ADDRESS) as other:
            while not stopped.is_set():
                try:
                    result = other.infer("affine", [numbers("X", x, "FP32")])
                    outcomes["OK"] += 1
                    if not np.array_equal(result.as_numpy("Y"), x * 2 + 1):
                        wrong.append(result.as_numpy("Y"))
                except InferenceServerException as error:
                    outcomes[error.status()] += 1

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(4):
            before = outcomes["OK"]
            until = time.monotonic() + LIMIT
            while outcomes["OK"] == before:
                assert time.monotonic() < until and any(t.is_alive() for t in threads), outcomes
                time.sleep(0.005)
            client.unload_model("affine")
            client.load_model("affine")
    finally:
        stopped.set()
        for thread in threads:
            thread.join(LIMIT)
    assert not wrong, wrong
    # It is not there, or it is being loaded; nothing else may be the matter.
    absent = {"StatusCode.NOT_FOUND", "StatusCode.UNAVAILABLE"}
    assert outcomes["OK"] >= 4 and set(outcomes) <= absent | {"OK"}, outcomes
    becomes_ready(client)


@check
def what_cannot_be_loaded(client):
    """repository: unknown, broken and overridden models are refused"""
    refused(lambda: client.load_model("nobody"), "NOT_FOUND", "nobody")
    refused(lambda: client.unload_model("nobody"), "NOT_FOUND", "nobody")
    refused(lambda: client.unload_model("spare"), "NOT_FOUND", "spare")
    refused(lambda: client.load_model("../clip"), "INVALID_ARGUMENT", "")
    refused(lambda: client.load_model("broken"), "FAILED_PRECONDITION", "broken")
    index = {model.name: model for model in client.get_model_repository_index().models}
    assert index["broken"].state == "UNAVAILABLE" and index["broken"].reason, index["broken"]
    files = {"file:1/net.pt": b"not from here"}
    for more in [{"config": '{"max_batch_size": 8}'}, {"config": "{}", "files": files}]:
        call = lambda more=more: client.load_model("spare", **more)
        refused(call, "INVALID_ARGUMENT", "'config' is not taken")
    assert not client.is_model_ready("spare") and client.is_server_ready()


@check
def what_is_not_served(client):
    """unimplemented: shared memory, traces and logs, with what to do instead"""
    memory = "send tensors in the request"
    for call in [
        client.get_system_shared_memory_status,
        client.get_cuda_shared_memory_status,
        client.unregister_system_shared_memory,
        client.unregister_cuda_shared_memory,
        lambda: client.register_system_shared_memory("a", "/a", 64),
        lambda: client.register_cuda_shared_memory("a", b"", 0, 64),
    ]:
        refused(call, "UNIMPLEMENTED", memory)
    started = "where the server is started"
    refused(client.get_trace_settings, "UNIMPLEMENTED", started)
    refused(client.get_log_settings, "UNIMPLEMENTED", started)
    refused(lambda: client.update_log_settings({"log_info": True}), "UNIMPLEMENTED", started)
