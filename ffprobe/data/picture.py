"""Safe decoding of one untrusted picture file."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ffprobe.errors import FileError

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""Suffixes of picture files, in lower case."""

MAX_PIXELS = 4096 * 4096
"""Maximum number of pixels of a picture; checked before decoding."""

# without formats for which Pillow starts another program (EPS)
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_GREY = ("1", "L", "LA", "La")


def is_picture(name: str) -> bool:
    """Whether a file name is that of a picture; hidden files (``._x.jpg``) are not."""
    base = name.rsplit("/", 1)[-1]
    return not base.startswith(".") and base.lower().endswith(SUFFIXES)


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Turn Pillow's warning about huge pictures into an error and silence its other warnings inside the block."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def decode_picture(name: str, content: bytes) -> np.ndarray:
    """The pixels of a picture.

    Transparent pixels are blended with black, 16-bit grey is scaled to 8 bits, a palette becomes grey if it contains
    only greys, and of an animation the first frame is used. The EXIF orientation is not applied, as in torchvision.

    Args:
        name: name of the picture, for the error message.
        content: the file's bytes.

    Returns:
        uint8 ``[H, W]`` if the picture is grey, ``[H, W, 3]`` if it is in colour.

    Raises:
        FileError: the picture cannot be decoded, has more than ``MAX_PIXELS``, or does not have 8 or 16 bits per
            channel.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                size = f"{picture.width}x{picture.height}"
                raise FileError(f"The picture {name} is too large: {size} pixels; the maximum is {MAX_PIXELS}.")
            return _pixels(name, picture)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise FileError(f"The picture {name} is too large: {error}.") from error
    except FileError:
        raise
    except Exception as error:  # Pillow's decoders raise many kinds of exceptions for damaged files
        reason = "its format is not supported" if isinstance(error, Image.UnidentifiedImageError) else error
        raise FileError(f"The picture {name} cannot be read: {reason}.", hint="Replace or remove it.") from error


def _pixels(name: str, picture: Image) -> np.ndarray:
    import numpy as np

    mode = picture.mode
    if mode in ("L", "RGB") and "transparency" not in picture.info:
        return np.asarray(picture)
    if mode.startswith("I;16") or (mode == "I" and picture.format == "PNG"):
        return ((np.asarray(picture).astype(np.int64) * 255 + 32767) // 65535).astype(np.uint8)
    if mode in ("I", "F"):
        raise FileError(f"The picture {name} has 32 bits per channel.", hint="Convert it to 8 bits per channel.")
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        rgba = np.asarray(picture.convert("RGBA")).astype(np.uint16)
        colour = ((rgba[..., :3] * rgba[..., 3:] + 127) // 255).astype(np.uint8)
    else:
        colour = np.asarray(picture.convert("RGB"))
    grey = mode in _GREY or (mode in ("P", "PA") and bool((colour == colour[..., :1]).all()))
    return np.ascontiguousarray(colour[..., 0]) if grey else colour
