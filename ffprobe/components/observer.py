"""Observers with settings: components that follow a run and change nothing in it."""

from __future__ import annotations

from ffprobe.components.base import Component


class Observer(Component):
    """Follows a run: reports it to an experiment tracker, sends a message, draws a picture.

    It implements hooks (``ffprobe_after_epoch`` ...) as methods marked with ``ffprobe.hookimpl``. It must not change
    any number of the run. If a hook raises an error, the run continues without the observer and logs why. With several
    processes, only the observer of the main process is called. What ``state_dict`` returns is saved in the checkpoint,
    so that an observer of a resumed run can go on where it stopped.

    A plugin that needs no settings can have its hooks as functions of the module, without a component.
    """

    kind = "observer"

    def prepare(self) -> None:
        """Check that everything the observer needs is there; called once before the data are loaded.

        Raises:
            PluginError: a library is missing; the hint names what to install.
            UsageError: a setting does not fit this machine, such as an account that is not configured.
        """
