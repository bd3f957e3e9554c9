"""What only memory can know is predicted with memory."""

from __future__ import annotations

import pytest
from benchmarks.memory import COLOUR, CUE, KINDS

from e2e_support import Launcher, validations


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_cue_of_the_first_frame_is_predicted_with_memory_and_not_without(launcher: Launcher) -> None:
    """What the colour costs without a memory is the loss of the same model when its memory is cleared at every step.

    ``benchmarks/memory.py`` trains the model that never had one, too, and both twice as long.
    """
    result = launcher.run("output_dir=with", *CUE, *KINDS["with memory"], "phase.num_episodes=3200")
    assert result.returncode == 0, result.stdout + result.stderr
    found = validations(launcher.directory / "with")[-1]
    assert found["val_loss_scale_1"] < 0.75 * COLOUR
    assert found["val_memory_gain"] > 2 * found["val_memory_gain_stderr"]
