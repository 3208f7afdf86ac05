"""Where the server is and how it is reached: targets, options and credentials of a channel."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import ssl
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc

DEFAULT_ADDRESS = "127.0.0.1:50051"
# As the server has it: `server.max_message_bytes`.
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
_LISTS = {4: "ipv4", 6: "ipv6"}


@dataclass(frozen=True)
class Tls:
    """Encryption. ``Tls()`` believes the system's authorities.

    ca:           whose certificates are believed: a PEM file's path, or its bytes
    certificate:  the client's own, with its key, for mutual TLS: likewise
    server_name:  the name in the server's certificate, where it is not that of the address
    """

    ca: str | os.PathLike[str] | bytes | None = None
    certificate: str | os.PathLike[str] | bytes | None = None
    key: str | os.PathLike[str] | bytes | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("a client's certificate and its key go together: give both")

    def __repr__(self) -> str:
        names = ("ca", "certificate", "server_name")
        shown = [f"{name}={getattr(self, name)!r}" for name in names if getattr(self, name)]
        return f"Tls({', '.join(shown)})"


@dataclass(frozen=True)
class Endpoint:
    """All that opens a channel, of either kind."""

    target: str
    options: list[tuple[str, Any]]
    # None for a connection in the clear.
    credentials: grpc.ChannelCredentials | None


def endpoint(
    address: str | Sequence[str],
    tls: Tls | bool | None,
    api_key: str | None,
    max_message_bytes: int,
    keepalive: float | None,
) -> Endpoint:
    target, says_tls = _target(address)
    if tls is False and says_tls:
        raise ValueError(f"{address} asks for TLS, and tls=False does not")
    if says_tls is False and tls:
        raise ValueError(f"{address} is in the clear, and tls asks for TLS: write https://")
    settings = tls if isinstance(tls, Tls) else Tls() if tls or says_tls else None
    if settings is None and api_key is not None and not _is_local(target):
        warnings.warn(
            f"the API key travels unencrypted to {target}; use https://", UserWarning, stacklevel=4
        )
    options: list[tuple[str, Any]] = [
        # Calls take turns over all addresses that the name stands for.
        ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.primary_user_agent", f"veriframe-python/{version('veriframe')}"),
        # A server that restarts is found within this time, rather than after two minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2000),
        # Two clients of one process are two connections.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if keepalive is not None:
        options += [
            ("grpc.keepalive_time_ms", round(keepalive * 1000)),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.http2.max_pings_without_data", 0),
        ]
    if target.startswith(("ipv4:", "ipv6:")):
        # Otherwise the whole list would be the calls' authority, which no server takes.
        first = target.partition(":")[2].partition(",")[0]
        options.append(("grpc.default_authority", first))
    if settings is not None and settings.server_name is not None:
        options.append(("grpc.ssl_target_name_override", settings.server_name))
    return Endpoint(target, options, None if settings is None else _credentials(settings))


def _target(address: str | Sequence[str]) -> tuple[str, bool | None]:
    """gRPC's name for an address, and whether the address says TLS (None where it says neither)."""
    if not isinstance(address, str):
        return _list(list(address)), None
    scheme, separator, rest = address.partition("://")
    if separator and scheme in ("http", "https"):
        return _dns(rest.rstrip("/"), address), scheme == "https"
    if re.match(r"(dns|ipv4|ipv6|unix|unix-abstract|vsock|xds):", address):
        return address, None
    return _dns(address, address), None


def _dns(place: str, address: str) -> str:
    if not re.fullmatch(r"(\[[^\]/]+\]|[^:/\s\[\]]+):\d{1,5}", place):
        raise ValueError(f'"{address}" is no address: write HOST:PORT or https://HOST:PORT')
    return f"dns:///{place}"


def _list(addresses: list[str]) -> str:
    kinds = set()
    for address in addresses:
        host = address.rpartition(":")[0].strip("[]")
        try:
            kinds.add(ipaddress.ip_address(host).version)
        except ValueError:
            raise ValueError(
                f'"{address}" is no IP address with a port. Of several servers give the IP '
                "addresses, or one name that stands for them all: dns:///NAME:PORT"
            ) from None
    if len(kinds) != 1:
        raise ValueError("several addresses must all be IPv4 or all be IPv6, and at least one")
    return f"{_LISTS[kinds.pop()]}:{','.join(addresses)}"


def _is_local(target: str) -> bool:
    if target.startswith("unix"):
        return True
    places = target.removeprefix("dns:///")
    places = re.sub(r"^ipv[46]:", "", places)
    for place in places.split(","):
        host = place.rpartition(":")[0].strip("[]")
        try:
            local = ipaddress.ip_address(host).is_loopback
        except ValueError:
            local = host == "localhost"
        if not local:
            return False
    return True


def _credentials(tls: Tls) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        root_certificates=_system_authorities() if tls.ca is None else _pem(tls.ca),
        private_key=_pem(tls.key),
        certificate_chain=_pem(tls.certificate),
    )


def _pem(source: str | os.PathLike[str] | bytes | None) -> bytes | None:
    if source is None or isinstance(source, bytes):
        return source
    return Path(source).read_bytes()


def _system_authorities() -> bytes | None:
    """The system's, as Python's own ssl finds them; None for those that gRPC brings along."""
    file = ssl.get_default_verify_paths().cafile
    return None if file is None else Path(file).read_bytes()


def metadata(api_key: str | None, priority: str | None) -> tuple[tuple[str, str], ...]:
    """The headers of a call."""
    headers: tuple[tuple[str, str], ...] = ()
    if api_key is not None:
        headers += (("authorization", f"Bearer {api_key}"),)
    if priority is not None:
        headers += (("x-veriframe-priority", priority),)
    return headers
