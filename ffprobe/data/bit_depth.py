"""Grey pictures with more than 8 bits, scaled to 8 bits by what their container declares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ffprobe.errors import FileError

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

# tags of TIFF 6.0
_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT, _LOW, _HIGH = 258, 262, 339, 340, 341
_WHITE_IS_ZERO, _SIGNED = 0, 2


def is_deep(picture: Image) -> bool:
    """Whether a picture has one channel of more than 8 bits."""
    return picture.mode.startswith("I;16") or picture.mode in ("I", "F")


def to_eight_bits(name: str, picture: Image) -> np.ndarray:
    """The pixels of a picture for which ``is_deep`` holds, uint8 ``[H, W]``.

    The declared range becomes 0 to 255. The range never depends on the pixels, so that all pictures of a data set are
    scaled alike: PNG declares its bit depth; PGM its maximum, which Pillow scales to 16 bits; TIFF the bits per sample,
    whether they are signed, and optionally another range (SMinSampleValue and SMaxSampleValue).

    Raises:
        FileError: the picture has more than 16 bits per channel, or floats.
    """
    import numpy as np

    tags: Any = getattr(picture, "tag_v2", {})
    bits = 16
    if picture.format == "TIFF":
        bits = int(max(_numbers(tags.get(_BITS, 16))))
    if picture.mode == "F" or bits > 16 or (picture.mode == "I" and picture.format not in ("PNG", "PPM", "TIFF")):
        raise FileError(f"The picture {name} has 32 bits per channel.", hint="Convert it to 8 bits per channel.")
    signed = _numbers(tags.get(_SAMPLE_FORMAT, 1))[0] == _SIGNED
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    low, high = (int(_numbers(tags.get(tag, value))[0]) for tag, value in ((_LOW, low), (_HIGH, high)))
    span = high - low
    if span < 1:
        raise FileError(f"The picture {name} declares the sample range {low} to {high}.", hint="Replace or remove it.")
    values = np.asarray(picture).astype(np.int64).clip(low, high) - low
    scaled = ((values * 255 + span // 2) // span).astype(np.uint8)
    # Pillow inverts 8 bits, but not 16
    return 255 - scaled if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else scaled


def _numbers(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
