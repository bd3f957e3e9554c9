"""Errors of the environments; each message says what was given, what is allowed and what to do."""

from __future__ import annotations


class EnvError(RuntimeError):
    """An environment could not be built or could not go on."""


class RendererError(EnvError):
    """No usable renderer: the Vulkan loader or driver is missing, too old, or the device does not exist."""


class SceneError(EnvError):
    """A scene has no start at rest."""


class WorkerError(EnvError):
    """The worker processes could not collect an episode, in spite of restarts."""


class PlannerError(EnvError):
    """A planner that a control mode needs is not installed, or cannot run on this machine."""
