"""Safe decoding of one untrusted picture file."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from ffprobe.data.bit_depth import is_deep, to_eight_bits
from ffprobe.errors import FileError

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

SUFFIXES = (
    *(".apng", ".avif", ".bmp", ".gif", ".j2c", ".j2k", ".jfi", ".jfif", ".jif", ".jp2", ".jpc", ".jpe", ".jpeg"),
    *(".jpf", ".jpg", ".jpx", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
)
"""Suffixes of picture files, in lower case. The format itself is detected by content."""

Background = Literal["black", "white"]
"""The colour behind transparent pixels."""

MAX_PIXELS = 4096 * 4096
"""Maximum number of pixels of a picture; checked before decoding."""

# without formats for which Pillow starts another program (EPS); the most frequent ones first, since Pillow imports all
# its plugins for the others
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP", "JPEG2000")
_AVIF = ("AVIF",) if find_spec("PIL.AvifImagePlugin") else ()  # since Pillow 11.3
_CODECS = ("jpg", "libjpeg_turbo", "jpg_2000", "libtiff", "webp", "avif")
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


def decoder_versions() -> tuple[object, ...]:
    """Versions of Pillow and of its codecs; decoders of different versions differ in the last bit."""
    import PIL
    from PIL import features

    return PIL.__version__, *(features.version(codec) for codec in _CODECS)


def decode_picture(name: str, content: bytes, background: Background = "black") -> np.ndarray:
    """The pixels of a picture.

    Transparent pixels are blended with the background, grey of more than 8 bits is scaled from its declared range to 8
    bits (``to_eight_bits``), a palette becomes grey if it contains only greys, and of an animation the first frame is
    used. The EXIF orientation is not applied, as in torchvision.

    Args:
        name: name of the picture, for the error message.
        content: the file's bytes.
        background: colour behind transparent pixels.

    Returns:
        uint8 ``[H, W]`` if the picture is grey, ``[H, W, 3]`` if it is in colour.

    Raises:
        FileError: the picture cannot be decoded, has more than ``MAX_PIXELS``, or does not have 8 or 16 bits per
            channel.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=(*_FORMATS, *_AVIF)) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                size = f"{picture.width}x{picture.height}"
                raise FileError(f"The picture {name} is too large: {size} pixels; the maximum is {MAX_PIXELS}.")
            return _pixels(name, picture, background)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise FileError(f"The picture {name} is too large: {error}.") from error
    except FileError:
        raise
    except Exception as error:  # Pillow's decoders raise many kinds of exceptions for damaged files
        reason = "its format is not supported" if isinstance(error, Image.UnidentifiedImageError) else error
        raise FileError(f"The picture {name} cannot be read: {reason}.", hint="Replace or remove it.") from error


def _pixels(name: str, picture: Image, background: Background) -> np.ndarray:
    import numpy as np

    mode = picture.mode
    behind = 255 if background == "white" else 0
    if mode in ("L", "RGB") and "transparency" not in picture.info:
        return np.asarray(picture)
    if is_deep(picture):
        grey_levels = to_eight_bits(name, picture)
        transparent = picture.info.get("transparency")  # one level of 16 bits, in PNG
        if isinstance(transparent, int):
            grey_levels[np.asarray(picture) == transparent] = behind
        return grey_levels
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        rgba = np.asarray(picture.convert("RGBA")).astype(np.uint16)
        alpha = rgba[..., 3:]
        colour = ((rgba[..., :3] * alpha + behind * (255 - alpha) + 127) // 255).astype(np.uint8)
    else:
        colour = np.asarray(picture.convert("RGB"))
    grey = mode in _GREY or (mode in ("P", "PA") and bool((colour == colour[..., :1]).all()))
    return np.ascontiguousarray(colour[..., 0]) if grey else colour
