"""The list of kinds contains every kind."""

from __future__ import annotations

import pytest

import ffprobe
from ffprobe.components.base import Component
from ffprobe.components.kinds import KINDS, base_class


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_public_base_class(kind: str) -> None:
    base = base_class(kind)
    assert base.kind == kind
    assert base is getattr(ffprobe, KINDS[kind])


def test_no_kind_is_missing() -> None:
    for kind in KINDS:
        base_class(kind)
    assert {
        base.kind for base in Component.__subclasses__() if base.__module__.startswith("ffprobe.components.")
    } == set(KINDS)
