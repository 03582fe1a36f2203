"""The settings of a run, and its config: those settings with the components that it chose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, Field

from ffprobe.components.base import Component, Params


class Training(Params):
    """How long, how fast, on what share of the data."""

    epochs: int = Field(20, ge=1, le=1_000_000, description="passes over the training images")
    batch_size: int = Field(64, ge=1, le=1_000_000, description="images a step; each gives a positive and a negative")
    learning_rate: float = Field(1e-3, gt=0, description="base learning rate of every optimizer")
    lr_schedule: Literal["network", "constant", "cosine"] = Field(
        "network", description="network: the paper's steps for the network, scaled to the run's length"
    )
    min_lr_fraction: float = Field(
        0.0, ge=0, le=1, description="where the cosine schedule ends, as a share of learning_rate"
    )
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", description="one for every update group")
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd")
    weight_decay: float = Field(0.0, ge=0, description="of every optimizer, per step")
    validation_fraction: float = Field(0.1, ge=0, lt=1, description="share of the training images held out")
    max_images: int = Field(0, ge=0, description="train on this many images only, with fewer for validation; 0 for all")
    standardize: bool = Field(
        True, description="each channel's mean taken away and its deviation made 1; false: pixels from 0 to 1"
    )
    augmentation: Literal["auto"] | bool = Field(
        "auto", description="the paper's random crop and rotation of each image; auto: from 16 px on"
    )
    crop_padding: int | None = Field(None, ge=0, description="pixels of the random crop; empty: 4 at 28 px, less below")
    rotation: float = Field(15.0, ge=0, le=180, description="degrees to either side")
    sync_batch_norm: bool = Field(
        True,
        description="several processes (torchrun): batch normalization sees the whole batch; false: each its own part",
    )
    compile: Literal["auto", "on", "off"] = Field(
        "auto", description="torch.compile for each layer; auto: where it was measured to help, which is nowhere so far"
    )
    num_evaluations: int = Field(20, ge=1, description="evaluate so many times a run at most, evenly spread")
    evaluation_batch: int = Field(512, ge=1, description="images a step in evaluation")
    test: Literal["end", "never", "every"] = Field(
        "end",
        description="when the test set is read: once at the end, never, or at every evaluation (said in the file)",
    )


class Recording(Params):
    """What goes into the run file beside metrics and goodness."""

    activations: Literal["auto"] | bool = Field("auto", description="auto: when a probe needs them")
    samples: int = Field(2000, ge=20, description="images whose activations are kept; a quarter is held out")
    max_features: int = Field(
        512, ge=1, description="numbers a layer keeps of each image; maps are average-pooled to fit"
    )
    epochs: tuple[int, ...] = Field((), description="record activations after these epochs too (0 and last always)")


class Data(Params):
    """Where the files lie."""

    dir: str = Field("", description="folder or archive of the data set")
    download: bool = Field(False, description="fetch missing files")


class RunSettings(Params):
    """Everything that is not a component."""

    preset: str = ""
    seed: int = Field(0, ge=0, lt=2**63, description="root of every random stream")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1 ...")
    precision: Literal["auto", "fp32", "bf16", "fp64"] = Field("auto", description="of forward passes")
    training: Training = Training()
    recording: Recording = Recording()
    data: Data = Data()


@dataclass(frozen=True)
class Choice:
    """A component that a config picked, with its settings.

    Attributes:
        component: the class.
        params: its validated settings.
        plugin: what to load it from when the name alone does not say (a file, ``module:attr``).
    """

    component: type[Component]
    params: BaseModel
    plugin: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values: ``name``, ``plugin`` where needed, and every setting."""
        extra = {"plugin": self.plugin} if self.plugin else {}
        return {"name": self.component.name, **extra, **self.params.model_dump(mode="json")}

    def build(self, *arguments: Any) -> Any:
        """An instance with these settings."""
        return self.component(self.params, *arguments)


@dataclass(frozen=True)
class RunConfig:
    """A config in which nothing is left open but ``auto`` for device and precision.

    Attributes:
        settings: everything that is not a component.
        slots: the choice for each single slot, by kind.
        probes: the probes, in the order given.
        observers: plugins that only watch, as typed.
    """

    settings: RunSettings
    slots: Mapping[str, Choice]
    probes: tuple[Choice, ...] = ()
    observers: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """The whole config as nested plain values; ``resolve`` reads it back to an equal config."""
        return {
            **self.settings.model_dump(mode="json"),
            **{kind: choice.to_dict() for kind, choice in self.slots.items()},
            "probes": [choice.to_dict() for choice in self.probes],
            "observers": list(self.observers),
        }
