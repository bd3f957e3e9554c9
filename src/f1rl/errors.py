"""The errors that end a run, each with the exit code of the documented table."""

from __future__ import annotations


class F1RLError(Exception):
    """Base of every error that is explained to the user instead of shown as a traceback."""

    exit_code = 1


class UsageError(F1RLError):
    """The command line itself cannot be understood."""

    exit_code = 2


class ConfigError(F1RLError):
    """The configuration is wrong, or contradicts what is on disk."""

    exit_code = 3


class DatasetError(ConfigError):
    """A dataset that the configuration names is missing, damaged, or means something else than the run."""


class EnvironmentFailure(F1RLError):
    """The simulator, the renderer or the machine (disk, memory) cannot carry the run."""

    exit_code = 4


class RankLost(EnvironmentFailure):
    """Another training process of the run has ended, for a reason that only that process knows."""


class ProcessFailed(EnvironmentFailure):
    """A process or job that this process started has failed, and has said why elsewhere."""

    def __init__(self, message: str, code: int) -> None:
        """End this process as that one ended: with exit code ``code``, if it is not 0."""
        super().__init__(message)
        self.exit_code = code or EnvironmentFailure.exit_code


class DivergedError(F1RLError):
    """A loss or a gradient is not finite."""

    exit_code = 5


class CheckpointError(F1RLError):
    """A checkpoint is missing, damaged or belongs to something else."""

    exit_code = 6


class Preempted(F1RLError):
    """The run was asked to make room; its state is saved and it can be queued again."""

    exit_code = 75


class Interrupted(F1RLError):
    """The user stopped the run; its state is saved."""

    exit_code = 130
