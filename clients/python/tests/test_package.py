"""What must hold of the package itself."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import veriframe
from veriframe import AsyncClient, Client
from veriframe._evidence_aio import AsyncEvidence
from veriframe._evidence_client import Evidence
from veriframe._proto import heatmap_pb2, image_pb2


@pytest.mark.parametrize(
    ("blocking", "awaiting"), [(Client, AsyncClient), (Evidence, AsyncEvidence)]
)
def test_both_clients_have_the_same_surface(blocking: type, awaiting: type) -> None:
    def surface(kind: type) -> dict[str, Any]:
        names = [name for name in vars(kind) if not name.startswith("_") or name == "__init__"]
        calls = {name: getattr(kind, name) for name in names if callable(getattr(kind, name))}
        return {
            name: [(each.name, each.kind, each.default) for each in parameters(call)[1:]]
            for name, call in calls.items()
        }

    def parameters(call: Any) -> list[inspect.Parameter]:
        return list(inspect.signature(call).parameters.values())

    assert surface(blocking) == surface(awaiting)
    for name in surface(blocking):
        assert getattr(blocking, name).__doc__ or name in ("__init__",), name


def test_all_that_is_named_is_there() -> None:
    for name in veriframe.__all__:
        assert getattr(veriframe, name).__doc__, name


def test_enums_are_names() -> None:
    from veriframe import _enums

    method = heatmap_pb2.HeatmapMethod
    names = _enums.names(method)
    assert (names[0], names[-1], len(names)) == ("grad_eclip", "ensemble", 21)
    assert [_enums.name(method, _enums.number(method, name, "m")) for name in names] == names
    assert _enums.name(method, 99) == "unknown_99"
    assert _enums.name(image_pb2.PixelFormat, 1) == "rgb8"
    with pytest.raises(ValueError, match='field is "unspecified", none of: '):
        _enums.number(method, "unspecified", "field")


def test_an_own_copy_of_the_protocol_does_not_clash(tmp_path: Path) -> None:
    """An application has another version of the same file, under the usual import path."""
    folder = tmp_path / "veriframe/v1"
    folder.mkdir(parents=True)
    (folder / "image_pb2.py").write_text(
        "from google.protobuf import descriptor_pb2, descriptor_pool\n"
        "file = descriptor_pb2.FileDescriptorProto(\n"
        "    name='veriframe/v1/image.proto', package='veriframe.v1', syntax='proto3')\n"
        "file.message_type.add(name='Image').field.add(name='other', number=9, type=9, label=1)\n"
        "descriptor_pool.Default().Add(file) if hasattr(descriptor_pool.Default(), 'Add') else \\\n"
        "    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())\n"
        "OWN = True\n"
    )
    for order in (["veriframe", "veriframe.v1.image_pb2"], ["veriframe.v1.image_pb2", "veriframe"]):
        code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        code += "".join(f"import {name}\n" for name in order)
        code += "assert veriframe.Client and veriframe.v1.image_pb2.OWN"
        # Before the package, its folder alone would be taken for the package: so it comes after.
        code = code.replace("insert(0, ", "append(")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
