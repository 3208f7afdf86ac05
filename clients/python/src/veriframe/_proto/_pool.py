"""The classes of messages, built in a pool of this package's own.

protobuf keeps one default pool for a process and refuses a second version of a file there. In its
own pool this package meets no other copy of ``veriframe/v1/*.proto``, whichever version an
application has generated for itself. And as nothing here was generated for one version of the
runtime, no runtime refuses it.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pool, duration_pb2, message_factory, timestamp_pb2
from google.protobuf.any_pb2 import DESCRIPTOR as ANY
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.rpc.status_pb2 import DESCRIPTOR as STATUS

_POOL = descriptor_pool.DescriptorPool()
for _file in (ANY, duration_pb2.DESCRIPTOR, timestamp_pb2.DESCRIPTOR, STATUS):
    _POOL.AddSerializedFile(_file.serialized_pb)


def build(serialized: bytes, module: dict[str, Any]) -> None:
    """Puts the classes of a file, serialized as a FileDescriptorProto, into a module."""
    file = _POOL.AddSerializedFile(serialized)
    module["DESCRIPTOR"] = file
    for name, message in file.message_types_by_name.items():
        module[name] = message_factory.GetMessageClass(message)
    for name, enum in file.enum_types_by_name.items():
        module[name] = EnumTypeWrapper(enum)
        module.update((value.name, value.number) for value in enum.values)
