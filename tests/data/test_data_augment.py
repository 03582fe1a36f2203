"""Augmentation compared with torchvision, image by image."""

import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tv

from ffprobe.data.augment import augment, default_shift, move


def pictures(count=12, channels=3, height=32, width=32):
    generator = torch.Generator().manual_seed(1)
    # no zeros inside, so that filled pixels can be distinguished from the picture
    return torch.randint(1, 256, (count, channels, height, width), generator=generator, dtype=torch.uint8)


def cropped(picture, down, right, padding):
    padded = tv.pad(picture, [padding] * 4)
    height, width = picture.shape[-2:]
    return tv.crop(padded, padding + down, padding + right, height, width)


ANGLES = (-15.0, -7.3, -0.01, 0.0, 0.4, 3.0, 11.9, 15.0, 45.0, 90.0, 180.0, 271.0)


@pytest.mark.parametrize(("channels", "height", "width"), [(3, 32, 32), (1, 28, 28), (1, 8, 8), (3, 21, 34)])
def test_equals_pillow_exactly(channels, height, width):
    batch = pictures(len(ANGLES), channels, height, width)
    offsets = torch.tensor([[(i % 9) - 4, ((3 * i) % 9) - 4] for i in range(len(ANGLES))])
    ours = move(batch, offsets, torch.tensor(ANGLES, dtype=torch.float64))
    for picture, (down, right), angle, result in zip(batch, offsets.tolist(), ANGLES, ours, strict=True):
        if angle % 90 == 0 and angle and height != width:
            continue  # Pillow transposes such pictures
        image = tv.to_pil_image(cropped(picture, down, right, 4))
        expected = tv.pil_to_tensor(tv.rotate(image, angle, InterpolationMode.NEAREST))
        assert torch.equal(result, expected), (angle, down, right)


def test_equals_torchvision_tensors_but_for_ties():
    batch = pictures(60)
    generator = torch.Generator().manual_seed(5)
    offsets = torch.randint(-4, 5, (60, 2), generator=generator)
    angles = torch.rand(60, generator=generator, dtype=torch.float64) * 30 - 15
    ours = move(batch, offsets, angles)
    theirs = torch.stack(
        [
            tv.rotate(cropped(picture, *offset, 4), angle, InterpolationMode.NEAREST)
            for picture, offset, angle in zip(batch, offsets.tolist(), angles.tolist(), strict=True)
        ]
    )
    assert (ours != theirs).float().mean() < 0.005


def test_crop_comes_before_rotation():
    batch = pictures(1)
    both = move(batch, torch.tensor([[4, -4]]), torch.tensor([15.0], dtype=torch.float64))
    rotated_first = cropped(move(batch, torch.zeros(1, 2).long(), torch.tensor([15.0]).double()), 4, -4, 4)
    assert not torch.equal(both, rotated_first)


def test_every_image_has_its_own_offset_and_angle():
    same = pictures(1).expand(64, -1, -1, -1)
    moved = augment(same, torch.Generator().manual_seed(0), shift=4, degrees=15)
    # some of 64 may be equal by chance
    assert len(torch.unique(moved.flatten(1), dim=0)) >= 60


@pytest.mark.parametrize(("shift", "degrees"), [(4, 15.0), (1, 0.0), (0, 15.0)])
def test_same_generator_same_images(shift, degrees):
    batch = pictures()
    one, two, other = (augment(batch, torch.Generator().manual_seed(s), shift, degrees) for s in (3, 3, 4))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_randomness_comes_from_the_generator_alone():
    before = torch.get_rng_state()
    augment(pictures(), torch.Generator().manual_seed(3), 4, 15.0)
    assert torch.equal(before, torch.get_rng_state())


def test_without_shift_and_rotation_nothing_changes():
    batch = pictures()
    generator = torch.Generator().manual_seed(3)
    state = generator.get_state()
    assert torch.equal(augment(batch, generator, 0, 0.0), batch)
    assert torch.equal(state, generator.get_state())


def test_offsets_reach_every_value_and_no_further():
    grid = torch.arange(1, 82, dtype=torch.uint8).view(1, 1, 9, 9).expand(2000, -1, -1, -1)
    centres = augment(grid, torch.Generator().manual_seed(0), shift=2, degrees=0)[:, 0, 4, 4]
    expected = {int(grid[0, 0, y, x]) for y in range(2, 7) for x in range(2, 7)}
    assert set(centres.tolist()) == expected


def test_input_is_left_as_it_was():
    batch = pictures()
    copy = batch.clone()
    augment(batch, torch.Generator().manual_seed(0), 4, 15.0)
    assert torch.equal(batch, copy)


def test_too_large_a_side_is_refused():
    with pytest.raises(ValueError, match="too large"):
        move(torch.zeros(1, 1, 1, 16385, dtype=torch.uint8), torch.zeros(1, 2).long(), torch.zeros(1).double())


@pytest.mark.parametrize(("height", "shift"), [(64, 4), (32, 4), (28, 4), (16, 2), (8, 1), (4, 0)])
def test_default_shift(height, shift):
    assert default_shift(height) == shift


@pytest.mark.parametrize("shift", [0, 4])
def test_reflecting_crop_equals_torchvision(shift):
    batch = pictures(8)
    offsets = torch.randint(-shift, shift + 1, (8, 2), generator=torch.Generator().manual_seed(2))
    ours = move(batch, offsets, torch.zeros(8, dtype=torch.float64), "reflect")
    for picture, (down, right), result in zip(batch, offsets.tolist(), ours, strict=True):
        padded = tv.pad(picture, [4] * 4, padding_mode="reflect")
        assert torch.equal(result, tv.crop(padded, 4 + down, 4 + right, 32, 32))


def test_what_a_rotation_uncovers_is_black_with_a_reflecting_crop_too():
    turned = move(pictures(1), torch.zeros(1, 2).long(), torch.tensor([45.0]).double(), "reflect")
    assert turned[0, :, 0, 0].tolist() == [0, 0, 0]


def test_flipping_mirrors_about_half_of_the_images_and_changes_no_other_draw():
    batch = pictures(200)
    plain = augment(batch, torch.Generator().manual_seed(4), 2, 5.0)
    flipped = augment(batch, torch.Generator().manual_seed(4), 2, 5.0, flip=True)
    mirrored = [i for i in range(200) if torch.equal(flipped[i], plain[i].flip(-1))]
    same = [i for i in range(200) if torch.equal(flipped[i], plain[i])]
    assert len(mirrored) + len(same) == 200
    assert 70 < len(mirrored) < 130


def test_flips_are_drawn_for_the_whole_batch():
    batch = pictures(6)
    whole = augment(batch, torch.Generator().manual_seed(4), 0, 0.0, flip=True)
    part = augment(batch[2:4], torch.Generator().manual_seed(4), 0, 0.0, (6, slice(2, 4)), flip=True)
    assert torch.equal(part, whole[2:4])
