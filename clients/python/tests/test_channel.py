"""Addresses, TLS and keys."""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import FACE, TEETH, Awaiting, Blocking, Either, Program, free_port

from veriframe import Client, DeadlineExceeded, PermissionDenied, Tls, Unauthenticated, Unavailable


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("example.org:50051", "dns:///example.org:50051"),
        ("https://example.org:50051/", "dns:///example.org:50051"),
        ("[::1]:50051", "dns:///[::1]:50051"),
        ("dns:///headless.example.org:50051", "dns:///headless.example.org:50051"),
        ("unix:/run/veriframe.sock", "unix:/run/veriframe.sock"),
        (["10.0.0.1:1", "10.0.0.2:1"], "ipv4:10.0.0.1:1,10.0.0.2:1"),
        (["[::1]:1"], "ipv6:[::1]:1"),
    ],
)
def test_addresses(address: str | list[str], target: str) -> None:
    assert repr(Client(address)) == f"Client({target})"


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("example.org", "write HOST:PORT or https://HOST:PORT"),
        ("", "write HOST:PORT"),
        ("https://example.org:50051/v1", "write HOST:PORT"),
        (["a.example.org:1", "b.example.org:1"], "dns:///NAME:PORT"),
        (["10.0.0.1:1", "[::1]:1"], "all be IPv4 or all be IPv6"),
        ([], "at least one"),
    ],
)
def test_what_is_no_address(address: str | list[str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Client(address)


def test_address_and_tls_must_agree() -> None:
    with pytest.raises(ValueError, match="write https://"):
        Client("http://example.org:1", tls=True)
    with pytest.raises(ValueError, match="asks for TLS"):
        Client("https://example.org:1", tls=False)
    with pytest.raises(ValueError, match="give both"):
        Tls(certificate="client.crt")


def test_a_key_in_the_clear_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="the API key travels unencrypted") as warned:
        Client("example.org:1", api_key="vf_secret")
    assert "vf_secret" not in str(warned[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for safe in ("127.0.0.1:1", "localhost:1", "[::1]:1", "https://example.org:1"):
            Client(safe, api_key="vf_secret")


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def certificate(folder: Path, name: str) -> None:
    """NAME.crt and NAME.key, of the folder's authority."""
    openssl(
        folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost",
        "-keyout", f"{name}.key", "-out", f"{name}.csr",
    )  # fmt: skip
    openssl(
        folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
        "-days", "2", "-copy_extensions", "copy", "-out", f"{name}.crt",
    )  # fmt: skip


def test_of_several_addresses_one_will_do(connect: Callable[..., Either], address: str) -> None:
    client = connect([address, f"127.0.0.1:{free_port()}"], timeout=60)
    assert client.call(lambda c: c.models())
    results, _ = client.stream(lambda c: c.verify_stream([FACE] * 3, prompts=TEETH))
    assert [each.ok for each in results] == [True] * 3


# Both clients in one test, for a server takes its time to start.
def test_tls_and_keys(start: Callable[..., Program], tmp_path: Path) -> None:
    openssl(
        tmp_path, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-days", "2", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.crt",
    )  # fmt: skip
    for name in ("server", "client"):
        certificate(tmp_path, name)
    # The SHA-256 of the secret below; the key may look at pictures, and change no evidence.
    secret = "vf_" + "a" * 43
    digest = subprocess.run(
        ["openssl", "dgst", "-sha256", "-r"], input=secret.encode(), capture_output=True, check=True
    ).stdout.split()[0]
    keys = tmp_path / "keys.toml"
    keys.write_text(f'[[key]]\nid = "test"\nsha256 = "{digest.decode()}"\nscopes = ["inference"]\n')
    keys.chmod(0o600)
    program = start(
        f"--evidence={tmp_path / 'evidence'}",
        f"--set=server.tls.certificate={tmp_path / 'server.crt'}",
        f"--set=server.tls.key={tmp_path / 'server.key'}",
        f"--set=server.tls.client_ca={tmp_path / 'ca.crt'}",
        "--set=server.tls.client_certificates=required",
        f"--set=server.auth.keys={keys}",
    )
    port = program.address.rpartition(":")[2]
    tls = Tls(
        ca=tmp_path / "ca.crt",
        certificate=tmp_path / "client.crt",
        key=(tmp_path / "client.key").read_bytes(),
    )
    for kind in (Blocking, Awaiting):
        check_tls_and_keys(kind, port, tls, secret)


def check_tls_and_keys(kind: type[Either], port: str, tls: Tls, secret: str) -> None:
    client = kind(f"https://localhost:{port}", tls=tls, api_key=secret, timeout=60)
    assert client.call(lambda c: c.verify(FACE, prompts=TEETH)).scores
    results, _ = client.stream(lambda c: c.verify_stream([FACE] * 3, prompts=TEETH))
    assert [each.ok for each in results] == [True] * 3
    with pytest.raises(PermissionDenied):
        client.call(lambda c: c.evidence.create("a"))

    client.close()

    without_key = kind(f"https://localhost:{port}", tls=tls)
    with pytest.raises(Unauthenticated):
        without_key.call(lambda c: c.models())
    without_key.close()
    named = replace(tls, server_name="localhost")
    by_address = kind(f"127.0.0.1:{port}", tls=named, api_key=secret, timeout=60)
    assert by_address.call(lambda c: c.models())
    by_address.close()
    # Without the certificate, with another authority, and in the clear.
    for options in ({"tls": Tls(ca=tls.ca)}, {"tls": True}, {}):
        other = kind(f"localhost:{port}", api_key=secret, timeout=3, **options)
        # In the clear, gRPC connects again and again until the time is over.
        with pytest.raises((Unavailable, DeadlineExceeded)):
            other.call(lambda c: c.models())
        other.close()
