# Written by scripts/generate.py from veriframe/v1/verify.proto; do not edit.
from veriframe._proto import detection_pb2 as _detection_pb2
from veriframe._proto import heatmap_pb2 as _heatmap_pb2
from veriframe._proto import image_pb2 as _image_pb2
from veriframe._proto import similarity_pb2 as _similarity_pb2
from veriframe._proto import timing_pb2 as _timing_pb2
from veriframe._proto._pool import build

build(b'\n\x19veriframe/v1/verify.proto\x12\x0cveriframe.v1\x1a\x1cveriframe/v1/detection.proto\x1a\x1averiframe/v1/heatmap.proto\x1a\x18veriframe/v1/image.proto\x1a\x1dveriframe/v1/similarity.proto\x1a\x19veriframe/v1/timing.proto"\xa2\x02\n\rVerifyRequest\x12)\n\x05image\x18\x01 \x01(\x0b2\x13.veriframe.v1.ImageR\x05image\x12=\n\nsimilarity\x18\x02 \x01(\x0b2\x1d.veriframe.v1.SimilarityQueryR\nsimilarity\x12:\n\tdetection\x18\x03 \x01(\x0b2\x1c.veriframe.v1.DetectionQueryR\tdetection\x123\n\x07regions\x18\x04 \x01(\x0b2\x19.veriframe.v1.RegionQueryR\x07regions\x126\n\x08heatmaps\x18\x05 \x01(\x0b2\x1a.veriframe.v1.HeatmapQueryR\x08heatmaps"\xe2\x02\n\x0eVerifyResponse\x12>\n\nsimilarity\x18\x01 \x01(\x0b2\x1e.veriframe.v1.SimilarityResultR\nsimilarity\x12;\n\tdetection\x18\x02 \x01(\x0b2\x1d.veriframe.v1.DetectionResultR\tdetection\x124\n\x07regions\x18\x03 \x01(\x0b2\x1a.veriframe.v1.RegionResultR\x07regions\x127\n\x08heatmaps\x18\x04 \x01(\x0b2\x1b.veriframe.v1.HeatmapResultR\x08heatmaps\x126\n\nframe_size\x18\x05 \x01(\x0b2\x17.veriframe.v1.ImageSizeR\tframeSize\x12,\n\x06timing\x18\x06 \x01(\x0b2\x14.veriframe.v1.TimingR\x06timingB\x02P\x01b\x06proto3', globals())
