# Written by scripts/generate.py from veriframe/v1/tensor.proto; do not edit.
from veriframe._proto._pool import build

build(b'\n\x19veriframe/v1/tensor.proto\x12\x0cveriframe.v1"g\n\x06Tensor\x123\n\tdata_type\x18\x01 \x01(\x0e2\x16.veriframe.v1.DataTypeR\x08dataType\x12\x14\n\x05shape\x18\x02 \x03(\rR\x05shape\x12\x12\n\x04data\x18\x03 \x01(\x0cR\x04data*]\n\x08DataType\x12\x19\n\x15DATA_TYPE_UNSPECIFIED\x10\x00\x12\x11\n\rDATA_TYPE_F32\x10\x01\x12\x11\n\rDATA_TYPE_F16\x10\x02\x12\x10\n\x0cDATA_TYPE_U8\x10\x03B\x02P\x01b\x06proto3', globals())
