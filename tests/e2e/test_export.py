"""A run's weights, exported, are where another run begins."""

from __future__ import annotations

from e2e_support import Launcher, validations


def test_a_run_that_starts_from_exported_weights_begins_as_good_as_the_other_ended(launcher: Launcher) -> None:
    first = launcher.run("output_dir=first", "phase.num_episodes=4")
    assert first.returncode == 0, first.stdout + first.stderr
    exported = launcher.plain("export", "first", "weights")
    assert exported.returncode == 0, exported.stdout + exported.stderr
    words = ("output_dir=second", "phase.num_episodes=2", "phase.learning_rate=1e-9")
    second = launcher.plain("--config", "weights/config.yaml", *words)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "weights: " in second.stdout
    ended, began = (validations(launcher.directory / run)[-1] for run in ("first", "second"))
    assert abs(ended["val_loss"] - began["val_loss"]) < 1e-3
