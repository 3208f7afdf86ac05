"""What counts as a picture, and how it is sent."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ._proto import image_pb2

if TYPE_CHECKING:
    import PIL.Image as Pillow


@dataclass(frozen=True, eq=False)
class Bgr:
    """Pixels in OpenCV's order, uint8 [height, width, 3]: ``Bgr(cv2.imread(path))``."""

    pixels: np.ndarray[Any, Any]


# A path; the bytes of an encoded file; uint8 pixels, [height, width, 3] in RGB or [height, width]
# in grey; OpenCV's pixels; a Pillow image; or the message itself, for what this list lacks (NV12).
ImageLike: TypeAlias = (
    "str | os.PathLike[str] | bytes | bytearray | memoryview | np.ndarray[Any, Any] | Bgr "
    "| Pillow.Image | image_pb2.Image"
)


def to_message(image: ImageLike) -> image_pb2.Image:
    """The message for a picture. Files are read here, and not looked into: the server decodes."""
    if isinstance(image, image_pb2.Image):
        return image
    if isinstance(image, (str, os.PathLike)):
        return image_pb2.Image(encoded=Path(image).read_bytes())
    if isinstance(image, (bytes, bytearray, memoryview)):
        return image_pb2.Image(encoded=bytes(image))
    if isinstance(image, Bgr):
        return _pixels(np.asarray(image.pixels), image_pb2.PIXEL_FORMAT_BGR8)
    if isinstance(image, np.ndarray):
        return _pixels(image, image_pb2.PIXEL_FORMAT_RGB8)
    # Pillow is optional. What else has its `convert` and `mode` converts like it.
    if hasattr(image, "convert") and hasattr(image, "mode"):
        return _pillow(image)
    raise TypeError(
        f"a picture cannot be a {type(image).__name__}; it is a path, bytes of an encoded file, "
        "uint8 pixels of numpy, a Pillow image or veriframe.Bgr"
    )


def _pixels(pixels: np.ndarray[Any, Any], three_channels: Any) -> image_pb2.Image:
    if pixels.dtype != np.uint8:
        raise ValueError(f"pixels are {pixels.dtype}, uint8 is needed: scale 0 to 1 by 255 first")
    grey = pixels.ndim == 2
    if not grey and (pixels.ndim != 3 or pixels.shape[2] != 3):
        shape = list(pixels.shape)
        raise ValueError(f"pixels are {shape}, [height, width, 3] or [height, width] is needed")
    raw = image_pb2.RawImage(
        format=image_pb2.PIXEL_FORMAT_GRAY8 if grey else three_channels,
        width=pixels.shape[1],
        height=pixels.shape[0],
        # In rows from the top, without padding, whatever view or slice this is.
        data=np.ascontiguousarray(pixels).tobytes(),
    )
    return image_pb2.Image(raw=raw)


def _pillow(image: Any) -> image_pb2.Image:
    # 16-bit, palette and alpha pictures become what they look like.
    wanted = "L" if image.mode in ("1", "L") else "RGB"
    return _pixels(np.asarray(image.convert(wanted)), image_pb2.PIXEL_FORMAT_RGB8)


def decode_png(data: bytes) -> Pillow.Image:
    """A PNG that the server drew, as a Pillow image."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("Pillow is needed: pip install 'veriframe[pillow]'") from error
    return Image.open(io.BytesIO(data))
