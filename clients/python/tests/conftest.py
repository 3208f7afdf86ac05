"""Servers to test against, and both clients behind one face.

VERIFRAME=PROGRAM runs that program with the demo models; VERIFRAME_ADDRESS=HOST:PORT uses a server
that runs already (with --evidence), and leaves out the tests that start and stop their own.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from veriframe import AsyncClient, Client

CLIENTS = Path(__file__).resolve().parents[1]
MODELS = CLIENTS.parents[1] / "models/demo"
FACE = CLIENTS / "examples/face.jpg"
FRAMES = sorted((CLIENTS / "examples/frames").iterdir())
TEETH = ["uneven teeth", "even teeth"]


class Program:
    """A server of the demo models in a process of its own."""

    def __init__(self, log: Path, *arguments: str, listen: str = "127.0.0.1:0") -> None:
        self._log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [os.environ["VERIFRAME"], "serve", f"--demo-models={MODELS}", f"--listen={listen}"]
                + ["--no-metrics", *arguments],
                stdout=out,
                stderr=subprocess.STDOUT,
                # Not what somebody has configured for servers of their own.
                env={k: v for k, v in os.environ.items() if not k.startswith("VERIFRAME")},
            )
        self.address = self._told(r"gRPC on (\S+)")
        self._told("(models are loaded)")

    def _told(self, pattern: str) -> str:
        end = time.monotonic() + 120
        while time.monotonic() < end and self._process.poll() is None:
            found = re.search(pattern, self._log.read_text())
            if found:
                return found.group(1)
            time.sleep(0.05)
        self.kill()
        raise AssertionError(f"the server said no {pattern!r}:\n{self._log.read_text()[-2000:]}")

    def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(60)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Starts servers of the test's own."""
    if not os.environ.get("VERIFRAME"):
        pytest.skip("starts servers of its own: VERIFRAME=PROGRAM is not set")
    running: list[Program] = []

    def start(*arguments: str, listen: str = "127.0.0.1:0") -> Program:
        log = tmp_path / f"server-{len(running)}.log"
        running.append(Program(log, *arguments, listen=listen))
        return running[-1]

    yield start
    for program in running:
        program.kill()


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with evidence."""
    if os.environ.get("VERIFRAME"):
        folder = tmp_path_factory.mktemp("server")
        program = Program(folder / "log", f"--evidence={folder / 'evidence'}")
        yield program.address
        assert program.stop() == 0
    elif os.environ.get("VERIFRAME_ADDRESS"):
        yield os.environ["VERIFRAME_ADDRESS"]
    else:
        pytest.fail("set VERIFRAME to the program, or VERIFRAME_ADDRESS to a server's address")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Blocking:
    """Client, its calls taken as functions of it."""

    def __init__(self, address: Any, **options: Any) -> None:
        self.client = Client(address, **options)

    def call(self, make: Callable[[Any], Any]) -> Any:
        return make(self.client)

    def collect(self, make: Callable[[Any], Any]) -> list[Any]:
        return list(make(self.client))

    def stream(
        self, make: Callable[[Any], Any], each: Callable[[Any], None] = lambda _: None
    ) -> Any:
        """All results of a stream, and the stream; `each` is called with every result."""
        with make(self.client) as stream:
            results = []
            for result in stream:
                each(result)
                results.append(result)
            return results, stream

    def close(self) -> None:
        self.client.close()


class Awaiting:
    """AsyncClient with the same face, on a loop of its own."""

    def __init__(self, address: Any, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()

        async def make() -> AsyncClient:
            return AsyncClient(address, **options)

        self.client = self._loop.run_until_complete(make())

    def call(self, make: Callable[[Any], Any]) -> Any:
        async def call() -> Any:
            return await make(self.client)

        return self._loop.run_until_complete(call())

    def collect(self, make: Callable[[Any], Any]) -> list[Any]:
        async def collect() -> list[Any]:
            return [each async for each in make(self.client)]

        return self._loop.run_until_complete(collect())

    def stream(
        self, make: Callable[[Any], Any], each: Callable[[Any], None] = lambda _: None
    ) -> Any:
        async def stream() -> Any:
            async with make(self.client) as stream:
                results = []
                async for result in stream:
                    await asyncio.to_thread(each, result)
                    results.append(result)
                return results, stream

        return self._loop.run_until_complete(stream())

    def close(self) -> None:
        self._loop.run_until_complete(self.client.close())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


Either = Blocking | Awaiting


@pytest.fixture(params=[Blocking, Awaiting], ids=["blocking", "asyncio"])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[..., Either]]:
    """Makes a client of one kind; each test runs with both."""
    made: list[Either] = []

    def connect(address: Any, **options: Any) -> Either:
        made.append(request.param(address, **options))
        return made[-1]

    yield connect
    for each in made:
        each.close()


@pytest.fixture
def client(connect: Callable[..., Either], address: str) -> Either:
    return connect(address, timeout=60)


class Fake:
    """A server that answers as a test has it: `calls[path]` is a handler of gRPC's."""

    def __init__(self, listen: str = "127.0.0.1:0") -> None:
        self.handlers: dict[str, grpc.RpcMethodHandler] = {}
        self._server = grpc.server(futures.ThreadPoolExecutor(8))
        self._server.add_generic_rpc_handlers((self,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port(listen)}"
        self.over = threading.Event()
        self._server.start()

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return self.handlers.get(call.method.rpartition("/")[2])

    def unary(self, name: str, request: Any, answer: Callable[[Any, Any], Any]) -> None:
        self.handlers[name] = grpc.unary_unary_rpc_method_handler(
            answer, request.FromString, lambda response: response.SerializeToString()
        )

    def stream(self, name: str, request: Any, answer: Callable[[Any, Any], Any]) -> None:
        self.handlers[name] = grpc.stream_stream_rpc_method_handler(
            answer, request.FromString, lambda response: response.SerializeToString()
        )

    def stop(self) -> None:
        self.over.set()
        self._server.stop(None).wait()


@pytest.fixture
def fake() -> Iterator[Fake]:
    server = Fake()
    yield server
    server.stop()


def abort(context: Any, code: grpc.StatusCode, message: str, *details: Any) -> Any:
    """Ends a call of the fake server with an error and its details."""
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, message)


def retry_info(seconds: float) -> error_details_pb2.RetryInfo:
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromNanoseconds(round(seconds * 1e9))
    return info


def error_info(reason: str, **metadata: str) -> error_details_pb2.ErrorInfo:
    return error_details_pb2.ErrorInfo(reason=reason, domain="veriframe", metadata=metadata)
