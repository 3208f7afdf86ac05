# Written by scripts/generate.py from veriframe/v1/verification.proto; do not edit.
from veriframe._proto import detection_pb2 as _detection_pb2
from veriframe._proto import heatmap_pb2 as _heatmap_pb2
from veriframe._proto import model_pb2 as _model_pb2
from veriframe._proto import similarity_pb2 as _similarity_pb2
from veriframe._proto import stream_pb2 as _stream_pb2
from veriframe._proto import verify_pb2 as _verify_pb2
from veriframe._proto._pool import build

build(b'\n\x1fveriframe/v1/verification.proto\x12\x0cveriframe.v1\x1a\x1cveriframe/v1/detection.proto\x1a\x1averiframe/v1/heatmap.proto\x1a\x18veriframe/v1/model.proto\x1a\x1dveriframe/v1/similarity.proto\x1a\x19veriframe/v1/stream.proto\x1a\x19veriframe/v1/verify.proto2\xd5\x03\n\x13VerificationService\x12C\n\x06Verify\x12\x1b.veriframe.v1.VerifyRequest\x1a\x1c.veriframe.v1.VerifyResponse\x12Y\n\x0cVerifyStream\x12!.veriframe.v1.VerifyStreamRequest\x1a".veriframe.v1.VerifyStreamResponse(\x010\x01\x12@\n\x05Embed\x12\x1a.veriframe.v1.EmbedRequest\x1a\x1b.veriframe.v1.EmbedResponse\x12C\n\x06Detect\x12\x1b.veriframe.v1.DetectRequest\x1a\x1c.veriframe.v1.DetectResponse\x12F\n\x07Explain\x12\x1c.veriframe.v1.ExplainRequest\x1a\x1d.veriframe.v1.ExplainResponse\x12O\n\nListModels\x12\x1f.veriframe.v1.ListModelsRequest\x1a .veriframe.v1.ListModelsResponseB\x02P\x01b\x06proto3', globals())
