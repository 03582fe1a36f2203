"""Decoding single pictures."""

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from ffprobe.data import picture
from ffprobe.data.picture import decode_picture, is_picture, quiet_pillow
from ffprobe.errors import FileError


def packed(image, form="PNG", **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
COLOUR = np.stack((GREY, GREY // 2, 255 - GREY), axis=-1)


def test_grey_and_colour():
    assert np.array_equal(decode_picture("x", packed(Image.fromarray(GREY))), GREY)
    assert np.array_equal(decode_picture("x", packed(Image.fromarray(COLOUR))), COLOUR)


@pytest.mark.parametrize("form", ["BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP"])
def test_formats(form):
    assert decode_picture("x", packed(Image.fromarray(COLOUR), form)).shape[:2] == (3, 4)


def test_formats_that_start_other_programs_are_refused():
    with pytest.raises(FileError, match="format is not supported"):
        decode_picture("x", packed(Image.fromarray(COLOUR), "EPS"))


def test_black_and_white():
    image = Image.fromarray(GREY).convert("1", dither=Image.Dither.NONE)
    assert set(decode_picture("x", packed(image)).flatten().tolist()) == {0, 255}


def test_a_palette_is_grey_if_all_its_colours_are():
    grey = Image.fromarray(GREY).convert("P")
    assert grey.mode == "P"
    assert np.array_equal(decode_picture("x", packed(grey)), GREY)
    colour = Image.fromarray(COLOUR).quantize(12)
    assert decode_picture("x", packed(colour)).shape == (3, 4, 3)


def test_transparent_is_black():
    alpha = np.full((3, 4), 255, dtype=np.uint8)
    alpha[0], alpha[1] = 0, 128
    expected = COLOUR.astype(float) * alpha[..., None] / 255
    decoded = decode_picture("x", packed(Image.fromarray(np.dstack((COLOUR, alpha)))))
    assert np.abs(decoded - expected).max() <= 0.5
    with_grey = Image.merge("LA", (Image.fromarray(GREY), Image.fromarray(alpha)))
    assert np.abs(decode_picture("x", packed(with_grey)) - GREY * (alpha / 255)).max() <= 0.5


def test_a_transparent_palette_colour_is_black():
    image = Image.fromarray(COLOUR).quantize(12)
    hidden = image.getpixel((3, 2))
    with quiet_pillow():
        decoded = decode_picture("x", packed(image, transparency=hidden))
    assert decoded[2, 3].tolist() == [0, 0, 0]
    assert decoded[0, 0].tolist() != [0, 0, 0]


def test_sixteen_bits_are_scaled():
    values = np.array([[0, 128, 257, 32768, 65535]], dtype=np.uint16)
    assert decode_picture("x", packed(Image.fromarray(values))).tolist() == [[0, 0, 1, 128, 255]]


def test_cmyk_becomes_rgb():
    assert decode_picture("x", packed(Image.fromarray(COLOUR).convert("CMYK"), "JPEG")).shape == (3, 4, 3)


def test_other_bit_depths_are_refused():
    with pytest.raises(FileError, match="32 bits per channel"):
        decode_picture("x", packed(Image.fromarray(GREY.astype(np.float32)), "TIFF"))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"])
def test_damaged_pictures_are_named(form):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    content = packed(Image.fromarray(noise), form)
    for keep in (0, 3, 20, len(content) // 2):
        with quiet_pillow(), pytest.raises(FileError, match=r"The picture a\.jpg cannot be read"):
            decode_picture("a.jpg", content[:keep])


def test_a_large_picture_is_refused_before_it_is_decoded(monkeypatch):
    content = packed(Image.new("1", (5000, 5000)))
    monkeypatch.setattr(picture, "_pixels", lambda *_: pytest.fail("was decoded"))
    with pytest.raises(FileError, match="too large: 5000x5000"):
        decode_picture("x", content)


@pytest.mark.parametrize("pixels", [100_000_000, 400_000_000])
def test_pillows_limit_gives_the_same_error(pixels):
    content = packed(Image.new("1", (pixels // 10_000, 10_000)))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with quiet_pillow(), pytest.raises(FileError, match="too large"):
            decode_picture("x", content)
    assert seen == []


def test_pillows_warnings_about_readable_pictures_are_silenced():
    content = packed(Image.fromarray(GREY), "JPEG")
    # an index of further pictures, which Pillow finds malformed
    segment = b"\xff\xe2" + (2 + 24).to_bytes(2, "big") + b"MPF\0" + b"MM\0*\0\0\0\x08" + bytes(12)
    with quiet_pillow():
        assert decode_picture("x", content[:2] + segment + content[2:]).shape == (3, 4)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a/b.JPG", True), ("b.webp", True), ("a/._b.jpg", False), (".jpg", False), ("Thumbs.db", False), ("jpg", False)],
)
def test_names_of_pictures(name, expected):
    assert is_picture(name) is expected
