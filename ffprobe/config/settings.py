"""The settings of a run, and its config: the settings together with the selected components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from ffprobe.components.base import Component, Params


class Training(Params):
    """Length, optimizer, data and evaluation of training."""

    epochs: int = Field(20, ge=1, le=1_000_000, description="number of passes over the training images")
    batch_size: int = Field(
        64, ge=1, le=1_000_000, description="training images per step; each gives a positive and a negative example"
    )
    learning_rate: float = Field(1e-3, gt=0, description="base learning rate of every optimizer")
    lr_schedule: Literal["network", "constant", "cosine", "linear"] = Field(
        "network",
        description="learning rate schedule: network (the steps of the network's paper, scaled to the length of the "
        "run), constant, cosine or linear",
    )
    min_lr_fraction: float = Field(
        0.0,
        ge=0,
        le=1,
        description="final learning rate of the cosine and the linear schedule as a fraction of learning_rate",
    )
    warmup_fraction: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="fraction of the run during which the learning rate rises linearly to learning_rate; the schedule "
        "fills the rest of the run",
    )
    optimizer: Literal["adam", "adamw", "sgd"] = Field(
        "adam", description="adam, adamw or sgd; every update group has its own optimizer"
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="SGD momentum, in [0, 1)")
    nesterov: bool = Field(False, description="Nesterov momentum for SGD, which needs a momentum above 0")
    weight_decay: float = Field(0.0, ge=0, description="weight decay coefficient of every optimizer")
    gradient_clip: float = Field(
        0.0,
        ge=0,
        description="largest norm of the gradients of one optimizer (0: no limit); larger ones are scaled down",
    )
    validation_fraction: float = Field(
        0.1, ge=0, lt=1, description="fraction of the training images held out for validation, in [0, 1)"
    )
    max_images: int = Field(
        0,
        ge=0,
        description="maximum number of training images (0: no limit); the validation set shrinks in proportion, to at "
        "least 100 images",
    )
    balance_classes: bool = Field(
        False,
        description="draw training samples with replacement so that every class is drawn equally often; false: every "
        "sample once an epoch",
    )
    standardize: bool = Field(
        True,
        description="normalize each channel or feature to zero mean and unit variance; false: pixels in [0, 1], other "
        "values as they are",
    )
    augmentation: Literal["auto"] | bool = Field(
        "auto",
        description="augmentation of each training sample: of pixels a random crop and rotation, as in the Trifecta's "
        "paper; of signals a random shift in time; of others none. auto: for pixels of at least 16 x 16",
    )
    crop_padding: int | None = Field(
        None,
        ge=0,
        description="padding of the random crop, in pixels (empty: 4, or one eighth of the shorter side if that is "
        "below 28 pixels); of signals the largest shift, in time steps (empty: one sixteenth of the length)",
    )
    crop_fill: Literal["zeros", "reflect"] = Field(
        "zeros",
        description="pixels outside the image in the random crop: zeros (black) or reflect (mirrored at its edge)",
    )
    rotation: float = Field(15.0, ge=0, le=180, description="maximum random rotation in either direction, in degrees")
    flip: bool = Field(
        False, description="where pixels are augmented, mirror each image left to right with probability 1/2"
    )
    sync_batch_norm: bool = Field(
        True,
        description="with several processes (torchrun), compute batch normalization over the whole batch; false: over "
        "the shard of each process",
    )
    compile: Literal["auto", "on", "off"] = Field(
        "auto",
        description="torch.compile for each layer: on, off, or auto (only where measurements show a speed-up, so far "
        "nowhere)",
    )
    early_stop: int = Field(
        0,
        ge=0,
        description="stop after this many evaluations without a better validation accuracy (0: never), not before "
        "every layer has begun to learn; the learning rate schedule is that of the whole length",
    )
    keep_best: bool = Field(
        False,
        description="keep the weights of the evaluated epoch with the best validation accuracy, not the last; epochs "
        "before every layer has begun to learn do not count",
    )
    num_evaluations: int = Field(20, ge=1, description="maximum number of evaluations, evenly spaced")
    evaluation_batch: int = Field(512, ge=1, description="images per batch in evaluation")
    evaluation_flip: bool = Field(
        False,
        description="in evaluation and prediction, use the mean of an image's goodness and that of its mirror image "
        "(test-time augmentation), where training mirrors images, too (flip)",
    )
    test: Literal["end", "never", "every"] = Field(
        "end",
        description="when the test set is evaluated: end (once, after training), never, or every (at each evaluation; "
        "recorded in the run file)",
    )


class Recording(Params):
    """What the run file contains in addition to metrics and goodness."""

    activations: Literal["auto"] | bool = Field("auto", description="record activations; auto: if a probe needs them")
    samples: int = Field(
        2000, ge=20, description="number of images whose activations are recorded; a quarter of them is held out"
    )
    max_features: int = Field(
        512,
        ge=1,
        description="maximum number of features recorded per layer and image; feature maps are average-pooled to fit",
    )
    epochs: tuple[int, ...] = Field(
        (), description="additional epochs after which activations are recorded; 0 and the last are always included"
    )
    images: Literal["auto"] | Annotated[int, Field(ge=0)] = Field(
        "auto",
        description="number of test, validation and training images whose pixels the run file contains, for "
        "ffprobe view; training images only of those with recorded activations; 0: none. auto: up to 1,000 and 4 MiB "
        "of each of a published data set, and none of any other, because a run file may be shared",
    )


class Data(Params):
    """Location of the files of the data set."""

    dir: str = Field("", description="directory or archive of the data set")
    download: bool = Field(False, description="download missing files")


class RunSettings(Params):
    """All settings that are not components."""

    preset: str = Field("", description="name of the preset")
    seed: int = Field(0, ge=0, lt=2**63, description="seed of every random stream")
    device: str = Field("auto", description="device: auto, cpu, cuda, cuda:1 ...")
    precision: Literal["auto", "fp32", "bf16", "fp64"] = Field(
        "auto",
        description="precision of forward passes: fp32, bf16, fp64, or auto (bf16 where it is at least 1.2 "
        "times faster, measured once for each machine; a resumed run keeps what it had)",
    )
    parallel: Literal["batch", "layers"] = Field(
        "batch",
        description="what several processes (torchrun) divide: batch (every process trains all layers on its shard of "
        "each batch) or layers (every process trains some layers on whole batches, one batch behind the process below; "
        "for rules without a signal from above); without effect in one process",
    )
    parallel_stages: int = Field(
        0,
        ge=0,
        description="with parallel=layers, number of parts that the layers are divided into; processes that train the "
        "same layers share each batch, so that 4 processes and 2 stages are a grid of 2 by 2; 0: one part for each "
        "process",
    )
    parallel_timeout: float = Field(
        600.0,
        gt=0,
        description="with parallel=layers, seconds that a process waits for another one within a step before the run "
        "ends with an error; a warning names the process after a tenth of them",
    )
    training: Training = Training()
    recording: Recording = Recording()
    data: Data = Data()


@dataclass(frozen=True)
class Choice:
    """A component that a config selects, with its settings.

    Attributes:
        component: the component class.
        params: its validated settings.
        plugin: what to load it from (a file, ``module:attr``); empty if its name is enough.
    """

    component: type[Component]
    params: BaseModel
    plugin: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The choice as plain values: ``name``, ``plugin`` if needed, and every setting."""
        extra = {"plugin": self.plugin} if self.plugin else {}
        return {"name": self.component.name, **extra, **self.params.model_dump(mode="json")}

    def build(self, *arguments: Any) -> Any:
        """A new instance of the component with these settings."""
        return self.component(self.params, *arguments)


@dataclass(frozen=True)
class RunConfig:
    """A complete, validated config; only device and precision may still be ``auto``.

    Attributes:
        settings: all settings that are not components.
        slots: the selected component of each slot, by kind.
        probes: the probes, in the order given.
        observers: the observers: components, and the names of plugins that have only hooks, as typed.
    """

    settings: RunSettings
    slots: Mapping[str, Choice]
    probes: tuple[Choice, ...] = ()
    observers: tuple[Choice | str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """The config as nested plain values; ``resolve`` turns them back into an equal config."""
        return {
            **self.settings.model_dump(mode="json"),
            **{kind: choice.to_dict() for kind, choice in self.slots.items()},
            "probes": [choice.to_dict() for choice in self.probes],
            "observers": [entry if isinstance(entry, str) else entry.to_dict() for entry in self.observers],
        }
