"""A grid of processes: some train different layers, and those that train the same layers share each batch."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import distributed
from torch.distributed.device_mesh import init_device_mesh

from ffprobe.components.process_group import ProcessGroup
from ffprobe.distributed.processes import TorchProcessGroup
from ffprobe.errors import UsageError


@dataclass(frozen=True)
class Grid:
    """The place of this process: its stage has the same layers, its pipeline the same part of each batch.

    Ranks count through the processes of the first stage, then through those of the second, and so on.

    Attributes:
        stage: which part of the layers this process trains, from 0.
        stages: number of parts.
        replica: which part of each batch it trains on, from 0.
        replicas: number of processes of a stage.
        sharing: the processes of this stage, which share each batch.
    """

    stage: int
    stages: int
    replica: int = 0
    replicas: int = 1
    sharing: ProcessGroup = field(default_factory=ProcessGroup)

    def rank(self, stage: int, replica: int | None = None) -> int:
        """The rank of a process among all: of this pipeline, unless another replica is given."""
        return stage * self.replicas + (self.replica if replica is None else replica)


def process_grid(process_group: ProcessGroup, stages: int) -> Grid:
    """The grid of all processes of a run.

    Args:
        process_group: all processes, two or more.
        stages: number of parts of the layers; 0 for one on each process.

    Raises:
        UsageError: the processes cannot be divided into so many stages.
    """
    size, stages = process_group.size, stages or process_group.size
    if size % stages:
        raise UsageError(
            f"{size} processes cannot be divided into {stages} stages of equal size.",
            hint=f"Start a multiple of {stages} processes, or change --set parallel_stages.",
        )
    replicas = size // stages
    if replicas == 1:
        return Grid(process_group.rank, stages)
    device = "cuda" if process_group.backend == "nccl" else "cpu"
    mesh = init_device_mesh(device, (stages, replicas), mesh_dim_names=("layers", "batch"))
    sharing = TorchProcessGroup(process_group.backend, mesh.get_group("batch"))
    stage, replica = divmod(distributed.get_rank(), replicas)
    return Grid(stage, stages, replica, replicas, sharing)
