"""What a peer must obey: somebody else's public code, as far as its recorded trajectories go."""

from __future__ import annotations

from typing import Any

from ffprobe.testing.contract import check, expect
from ffprobe.testing.contracts.component import ComponentContract

FOREIGN: tuple[dict[str, Any], ...] = ({}, {"code": "nobody/nothing"}, {"loss": None, "layers": [], "version": -1})


class PeerContract(ComponentContract):
    """The checks of a peer that need no recorded trajectory; ``ffprobe replay`` makes the others."""

    kind = "peer"

    @check("`ffprobe replay` asks every installed peer whose a file is.")
    def claims_nothing_foreign(self) -> None:
        """claims(meta) says False to a description that is not its own, whatever is in it, and does not raise."""
        for meta in FOREIGN:
            said = self.subject.build().claims(dict(meta))
            expect(said is False, f"False for the description {meta}", repr(said))

    @check("The network's names are what gradients and parameters are compared by.")
    def state_keeps_what_it_does_not_know(self) -> None:
        """state({}) is an empty table."""
        expect(self.subject.build().state({}) == {}, "an empty table", repr(self.subject.build().state({})))
