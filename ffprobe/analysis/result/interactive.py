"""What makes a report interactive: a front end and its data, placed into the static page."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Interactive:
    """The parts of an interactive page; none of them can end the element that it is placed in.

    Attributes:
        style: style sheet of the front end.
        script: code of the front end, a module.
        boot: code that runs before it.
        data: JSON text.
    """

    style: str
    script: str
    boot: str
    data: str

    @property
    def policy(self) -> str:
        """The sources of scripts for the content security policy: these two scripts, by their hashes."""
        return " ".join(f"'sha256-{_hash(code)}'" for code in (self.boot, self.script))


def _hash(code: str) -> str:
    return base64.b64encode(hashlib.sha256(code.encode()).digest()).decode("ascii")
