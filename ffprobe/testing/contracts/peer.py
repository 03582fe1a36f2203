"""The contract of a peer, which replays recorded trajectories of another implementation."""

from __future__ import annotations

from typing import Any

from ffprobe.testing.contract import check, expect
from ffprobe.testing.contracts.component import ComponentContract

FOREIGN: tuple[dict[str, Any], ...] = ({}, {"code": "nobody/nothing"}, {"loss": None, "layers": [], "version": -1})


class PeerContract(ComponentContract):
    """The checks of a peer that need no recorded trajectory; ``ffprobe replay`` checks the rest."""

    kind = "peer"

    @check("`ffprobe replay` calls claims() of every installed peer.")
    def claims_only_its_own_trajectories(self) -> None:
        """claims(meta) returns False for the meta of other implementations, whatever it contains, without an error."""
        for meta in FOREIGN:
            claimed = self.subject.build().claims(dict(meta))
            expect(claimed is False, f"False for the meta {meta}", repr(claimed))

    @check("Gradients and parameters are compared by the network's names; a recording may lack some of them.")
    def state_of_nothing_is_empty(self) -> None:
        """state({}) returns an empty dict."""
        expect(self.subject.build().state({}) == {}, "an empty dict", repr(self.subject.build().state({})))
