"""Writes src/veriframe/_proto from the .proto files, or with --check says whether it is current.

Needs grpcio-tools as pyproject.toml pins it. A module holds its file's descriptor and builds its
classes at import (see _pool.py), so that any protobuf runtime will do; the types beside it are
protoc's, with its imports turned to this package.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import grpc_tools
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

HERE = Path(__file__).resolve().parent.parent
TARGET = HERE / "src/veriframe/_proto"
# The folders that imports start from, and the files that become modules.
ROOTS = [HERE.parent.parent / "proto", HERE / "proto"]
FILES = sorted(
    path.relative_to(root).as_posix()
    for root, pattern in zip(ROOTS, ["veriframe/v1/*.proto", "grpc/**/*.proto"], strict=True)
    for path in root.glob(pattern)
)
HEADER = "# Written by scripts/generate.py from {file}; do not edit.\n"
# "from veriframe.v1 import image_pb2 as _image_pb2"
OWN_IMPORT = re.compile(r"^from veriframe\.v1 import (\w+_pb2) as (\w+)$", re.MULTILINE)


def main() -> None:
    wanted = generate()
    found = {path.name: path.read_text() for path in sorted(TARGET.glob("*_pb2.py*"))}
    if "--check" in sys.argv[1:]:
        names = sorted(wanted.keys() | found.keys())
        stale = [name for name in names if wanted.get(name) != found.get(name)]
        if stale:
            sys.exit(f"not current, run scripts/generate.py: {', '.join(stale)}")
        return
    for name in found.keys() - wanted.keys():
        (TARGET / name).unlink()
    for name, text in wanted.items():
        (TARGET / name).write_text(text)


def generate() -> dict[str, str]:
    """The modules and their types, by file name."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        # google/protobuf/*.proto come with grpcio-tools.
        includes = [*map(str, ROOTS), str(Path(grpc_tools.__file__).parent / "_proto")]
        arguments = [f"-I{include}" for include in includes]
        arguments += [f"--descriptor_set_out={out}/set", f"--pyi_out={out}", *FILES]
        if protoc.main(["protoc", *arguments]) != 0:
            sys.exit("protoc failed")
        files = descriptor_pb2.FileDescriptorSet.FromString((out / "set").read_bytes()).file
        texts = {}
        for file in files:
            name = module(file.name)
            texts[f"{name}.py"] = code(file)
            types = (out / file.name).with_name(f"{name}.pyi").read_text()
            texts[f"{name}.pyi"] = HEADER.format(file=file.name) + OWN_IMPORT.sub(
                r"from veriframe._proto import \1 as \2", types
            )
        return texts


def module(file: str) -> str:
    return f"{Path(file).stem}_pb2"


def code(file: descriptor_pb2.FileDescriptorProto) -> str:
    """A module that builds the classes of one file, after those of the files it imports."""
    own = sorted(module(name) for name in file.dependency if name in FILES)
    imports = "".join(f"from veriframe._proto import {name} as _{name}\n" for name in own)
    return (
        f"{HEADER.format(file=file.name)}{imports}from veriframe._proto._pool import build\n\n"
        f"build({file.SerializeToString(deterministic=True)!r}, globals())\n"
    )


main()
