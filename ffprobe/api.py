"""The Python API: train, analyze, predict. The command line calls these functions and adds nothing but its display."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ffprobe.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from ffprobe.analysis.result.result import Result
    from ffprobe.components.base import Component
    from ffprobe.config.options import RunOptions
    from ffprobe.config.settings import RunConfig
    from ffprobe.inference.recorded_run import RecordedRun
    from ffprobe.plugin.registry import Registry
    from ffprobe.store.reader import RunFile
    from ffprobe.training.outcome import Outcome
    from ffprobe.training.session import Session


def run(
    out: str | Path = "run.h5",
    *,
    preset: str = "",
    plugins: Sequence[str | type[Component] | Component] = (),
    network: Any = None,
    data: Any = None,
    settings: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    trust: bool = False,
) -> RecordedRun:
    """Train a network and record the run, as ``ffprobe run`` does.

    Plugins, network and data may be objects of this program. The run file describes them (source text, hash, shapes);
    it cannot rebuild them, so ``predict``, ``open`` and ``resume`` need the same program, or the objects again.

    Args:
        out: the run file.
        preset: a named config; vanilla Forward-Forward by default.
        plugins: each as ``--plugin`` takes it: a name, ``name:key=value``, ``./file.py``, ``module:attr``; or a
            component class, ``MyLoss``, or an instance with settings, ``MyLoss(alpha=2)``.
        network: a ``nn.Sequential``, which is cut after each activation function or at its ``ffprobe.cut()`` markers; a
            list of modules, one for each layer; a module class, or a function of (shape, classes) that returns modules;
            an ``ffprobe.Network``; or the name of a network. Modules are copied with their weights; classes and
            functions draw them from the run's seed.
        data: ``(X, y)``; a torch ``Dataset`` or ``DataLoader``, of which batches and order are those of the run; an
            ``ffprobe.Samples``; a dictionary of these with the keys ``train`` and ``test``; a data set of Hugging Face;
            an ``ffprobe.Dataset``; or the name of a data set. Without a test part a fifth of the samples becomes one.
        settings: each as ``--set`` takes it, ``{"training.epochs": 3}``, or as nested tables.
        overwrite: replace an existing run file.
        resume: resume from the last checkpoint, or start if there is none.
        trust: with ``resume``, import the plugins that the unfinished file names as ``./file.py`` or ``module:attr``
            although ``plugins`` does not name them.

    Returns:
        The finished run, open, as ``ffprobe.open`` returns it; close it, or use ``with``.

    Raises:
        FfprobeError: as the command: settings that do not fit, a plugin that is missing, a run that failed.
    """
    from ffprobe.config.options import RunOptions
    from ffprobe.given.plugins import plugin_words
    from ffprobe.inference.recorded_run import open as open_recorded
    from ffprobe.plugin.registry import Registry
    from ffprobe.store.names import run_file

    out, registry = run_file(out), Registry()
    words = (*plugin_words(plugins), *_given_words(network, data))
    options = RunOptions(preset=preset, plugin=words, trust=trust)
    config = configure(registry, options, settings, resume_from=out if resume else None)
    train(config, registry, out, overwrite=overwrite, resume=resume, command="ffprobe.run")
    return open_recorded(out)


def configure(
    registry: Registry,
    options: RunOptions,
    settings: Mapping[str, Any] | None = None,
    resume_from: Path | None = None,
) -> RunConfig:
    """The resolved config of a run.

    Args:
        registry: finds the plugins.
        options: preset, plugins and the other options of ``ffprobe run``, each over the one before.
        settings: over those; dotted keys or nested tables.
        resume_from: the run file of a run to resume. The config of its unfinished file, or else of the finished one, is
            the base: what the options do not name stays as it was.

    Raises:
        UsageError: an unknown setting, a value out of range, or a file that names code that no option names, without
            ``options.trust``.
        PluginError: a plugin is missing or would not load.
    """
    from ffprobe.config.parsing import nested
    from ffprobe.config.resolve import resolve
    from ffprobe.store.names import partial_of

    if not isinstance(settings, Mapping | None):
        raise UsageError(
            f"settings must be a dictionary, not {settings!r}.", hint='For example {"training.epochs": 3}.'
        )
    earlier = [path for path in (partial_of(resume_from), resume_from) if path.exists()] if resume_from else []
    return resolve(options.table(registry, earlier[0] if earlier else None, nested(settings or {})), registry)


def train(
    config: RunConfig,
    registry: Registry,
    out: Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    allow_changes: bool = False,
    command: str = "",
    observers: Sequence[tuple[str, Any]] = (),
    during: Callable[[Session], AbstractContextManager[Any]] = lambda session: nullcontext(),
) -> Outcome | None:
    """Train one run and record it, on this process or on all that torchrun started.

    Args:
        config: resolved.
        registry: that resolved it.
        out: the run file.
        overwrite: replace an existing run file.
        resume: resume from the last checkpoint, or start if there is none. Where ``out`` is the finished file of this
            very run, nothing runs, and its results are returned.
        allow_changes: resume although settings, data or versions changed; the file records the changes.
        command: the command line, for the file.
        observers: more observers, by name, such as a progress display.
        during: a context to train in, made from the session: signal handlers, a display.

    Returns:
        How the run ended; None on every process but the main one.

    Raises:
        FfprobeError: the file exists, or the run failed; committed epochs are never lost.
    """
    from ffprobe.distributed.processes import process_group
    from ffprobe.store.names import partial_of, run_file
    from ffprobe.training.finished import finished_outcome
    from ffprobe.training.session import Session, refuse_unless_resumable

    out = run_file(out)
    complete = resume and not overwrite and out.exists() and not partial_of(out).exists()
    with process_group(config.settings.device) as group:
        if complete:
            return finished_outcome(out, config, registry) if group.is_main else None
        if group.is_main:
            refuse_unless_resumable(out, resume, overwrite)
        session = Session.start(
            config,
            registry,
            out,
            command=command,
            process_group=group,
            overwrite=overwrite,
            resume=resume,
            allow_changes=allow_changes,
            observers=observers,
        )
        with during(session):
            outcome = session.run()
        return outcome if group.is_main else None


def analyze(question: str, *runs: str | Path | RunFile, registry: Registry | None = None) -> Result:
    """Answer a question from recorded runs, as ``ffprobe analyze`` does.

    Args:
        question: a probe's name, ``name:key=value,...``, ``./file.py`` or ``module:attr``.
        runs: run files, open (they stay open) or by their paths.
        registry: finds the probe; a new one by default.

    Returns:
        The result: ``table()``, ``to_dict()``, ``figure()``, ``to_pandas()``; in a notebook it displays itself.

    Raises:
        PluginError: there is no such analysis; the message has the nearest names.
        UsageError: it needs more runs than these, or a setting does not fit.
        FileError: a run is missing, damaged, or did not record what is needed.
    """
    from ffprobe.config.analysis_choice import find_question
    from ffprobe.plugin.error_attribution import attribute_errors
    from ffprobe.plugin.registry import Registry

    registry = registry or Registry()
    choice = find_question(question, registry, len(runs))
    with ExitStack() as stack:
        files = [stack.enter_context(_opened(run)) for run in runs]
        with attribute_errors(registry, f"answering {choice.component.name!r}"):
            result: Result = choice.build().analyze(files)
    return result


def predict(
    run: str | Path | RunFile,
    inputs: np.ndarray,
    *,
    evaluator: str = "",
    device: str = "cpu",
    trust: bool = False,
    network: Any = None,
    plugins: Sequence[type[Component] | Component] = (),
) -> np.ndarray:
    """The class that a finished run's network predicts for each input.

    An evaluator that has something to choose is calibrated on the run's recorded validation goodness.

    Args:
        run: a run file, open (it stays open) or by its path.
        inputs: of the run's shape, normalized as the run's own: images uint8 ``[N, C, H, W]``, 0 to 255; values, real
            numbers ``[N, F]``, ``[N, C, T]`` or ``[N, C, H, W]``; tokens, integers ``[N, T]``.
        evaluator: ``NAME`` or ``NAME:key=value,...``; the run's own by default.
        device: of the network: ``auto``, ``cpu``, ``cuda`` ...
        trust: import the plugins that the run file names as ``./file.py`` or ``module:attr``. Without it, they are
            refused unless this process has imported them already.
        network: the network that the run was handed, if another program trained it.
        plugins: the component classes that the run was handed, likewise.

    Returns:
        int64 ``[N]``: indices into the run's ``class_names``; -1 for an input without a prediction, because a score is
        NaN or several labels share the largest score.

    Raises:
        UsageError: the inputs have another shape or dtype, or the file names code and ``trust`` is not set.
        FileError: the run did not finish, or its weights do not fit the plugins that are installed.
    """
    import numpy as np

    from ffprobe.given.plugins import plugin_words
    from ffprobe.inference.loaded_predictor import load_predictor
    from ffprobe.inference.predictor import predict as predictions
    from ffprobe.inference.stored_inputs import stored_inputs
    from ffprobe.plugin.registry import Registry

    if hasattr(inputs, "detach"):  # a tensor
        inputs = inputs.detach().cpu().numpy()
    if not isinstance(inputs, np.ndarray):
        kind = type(inputs).__name__
        raise UsageError(f"The inputs must be a numpy array, not {kind}.", hint="numpy.stack makes one of a list.")
    handed_in = list(_given_words(network, None))
    plugin_words(plugins)  # known from here on
    with _opened(run) as file:
        recorded: Any = file.config.get("network", {})
        if handed_in and handed_in[0] != recorded.get("plugin"):
            raise UsageError(
                f"The network that you handed in is not that of the run, {recorded.get('name')!r}.",
                hint="Hand in a network with the same modules, or source text; the weights come from the file.",
            )
        loaded = load_predictor(file, Registry(), evaluator=evaluator, device=device, trust=trust)
    rows = loaded.trained.samples(stored_inputs(loaded.trained, inputs))
    return predictions(loaded.trained, rows, loaded.evaluator).labels.numpy()


def _given_words(network: Any, data: Any) -> Iterator[str]:
    """The words for a network and for data; None is none."""
    if network is not None:
        from ffprobe.given.network import network_word

        yield network_word(network)
    if data is not None:
        from ffprobe.given.data import data_word

        yield data_word(data)


@contextmanager
def _opened(run: str | Path | RunFile) -> Iterator[RunFile]:
    """The run file; closed again only if it was opened here."""
    from ffprobe.store.reader import open_run

    if isinstance(run, str | Path):
        with open_run(run) as file:
            yield file
    else:
        yield run
