# Written by scripts/generate.py from veriframe/v1/verification.proto; do not edit.
from veriframe._proto import detection_pb2 as _detection_pb2
from veriframe._proto import heatmap_pb2 as _heatmap_pb2
from veriframe._proto import model_pb2 as _model_pb2
from veriframe._proto import similarity_pb2 as _similarity_pb2
from veriframe._proto import stream_pb2 as _stream_pb2
from veriframe._proto import verify_pb2 as _verify_pb2
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor
