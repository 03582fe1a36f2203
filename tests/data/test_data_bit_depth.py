"""Grey pictures of 9 to 16 bits, scaled by what their container declares."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from ffprobe.data.picture import decode_picture
from ffprobe.errors import FileError


def pgm(maximum, values):
    array = np.asarray(values, dtype=">u2" if maximum > 255 else np.uint8)
    return f"P5 {array.shape[1]} {array.shape[0]} {maximum}\n".encode() + array.tobytes()


def tiff(content, width, bits, sample_format=1, photometric=1, further=()):
    """A TIFF of one row, as the specification describes it."""
    tags = [(256, 4, width), (257, 4, 1), (258, 3, bits), (259, 3, 1), (262, 3, photometric), (273, 4, 8)]
    tags += [(277, 3, 1), (278, 4, 1), (279, 4, len(content)), (339, 3, sample_format), *further]
    directory = b"".join(struct.pack("<HHIi", tag, kind, 1, value) for tag, kind, value in tags)
    return (
        b"II*\0" + struct.pack("<I", 8 + len(content)) + content + struct.pack("<H", len(tags)) + directory + bytes(4)
    )


def nearest(values, maximum):
    return ((2 * np.asarray(values) * 255 + maximum) // (2 * maximum)).tolist()


@pytest.mark.parametrize("maximum", [15, 255, 1023, 4095, 65535])
def test_a_pgm_is_scaled_by_its_maximum(maximum):
    values = np.linspace(0, maximum, 64).astype(int).reshape(8, 8)
    assert decode_picture("x", pgm(maximum, values)).tolist() == nearest(values, maximum)


def test_every_value_of_ten_bits():
    values = np.arange(1024).reshape(32, 32)
    assert decode_picture("x", pgm(1023, values)).tolist() == nearest(values, 1023)


def test_a_pgm_in_text():
    assert decode_picture("x", b"P2 3 1 1023\n0 512 1023\n").tolist() == [[0, 128, 255]]


def test_a_tiff_of_sixteen_bits():
    values = np.array([0, 128, 257, 32768, 65535], dtype="<u2")
    assert decode_picture("x", tiff(values.tobytes(), 5, 16)).tolist() == [[0, 0, 1, 128, 255]]
    inverted = decode_picture("x", tiff(values.tobytes(), 5, 16, photometric=0))
    assert inverted.tolist() == [[255, 255, 254, 127, 0]]


def test_a_tiff_of_signed_sixteen_bits_is_scaled_from_its_full_range():
    values = np.array([-32768, -1, 0, 32767], dtype="<i2")
    assert decode_picture("x", tiff(values.tobytes(), 4, 16, sample_format=2)).tolist() == [[0, 127, 128, 255]]


def test_a_tiff_that_declares_its_sample_range():
    values = np.array([-5, 0, 1000, 2000, 4095, 5000], dtype="<i2")
    content = tiff(values.tobytes(), 6, 16, sample_format=2, further=[(340, 9, 0), (341, 9, 4095)])
    assert decode_picture("x", content).tolist() == [[0, 0, 62, 125, 255, 255]]
    empty = tiff(values.tobytes(), 6, 16, sample_format=2, further=[(340, 9, 7), (341, 9, 7)])
    with pytest.raises(FileError, match="declares the sample range 7 to 7"):
        decode_picture("x", empty)


def test_a_tiff_of_twelve_bits():
    content = bytes([0x00, 0x0F, 0xFF, 0x80, 0x0F, 0xFF])  # 0, 4095, 2048, 4095
    assert decode_picture("x", tiff(content, 4, 12)).tolist() == [[0, 255, 128, 255]]


@pytest.mark.parametrize(("dtype", "sample_format"), [("<u4", 1), ("<i4", 2), ("<f4", 3)])
def test_a_tiff_of_thirty_two_bits_is_refused(dtype, sample_format):
    with pytest.raises(FileError, match="32 bits per channel"):
        decode_picture("x", tiff(np.ones(4, dtype).tobytes(), 4, 32, sample_format))


def test_a_transparent_level_of_sixteen_bits_is_background():
    values = np.array([[0, 3000, 65535]], dtype=np.uint16)
    out = io.BytesIO()
    Image.fromarray(values).save(out, "PNG", transparency=3000)
    assert decode_picture("x", out.getvalue()).tolist() == [[0, 0, 255]]
    assert decode_picture("x", out.getvalue(), "white").tolist() == [[0, 255, 255]]
