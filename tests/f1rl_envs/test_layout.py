from __future__ import annotations

import numpy as np
import pytest

from f1rl_envs.layout import layout


def test_one_arm_is_followed_by_its_gripper():
    single = layout([7])
    assert single.arms == (range(7),)
    assert single.grippers == (7,)
    assert np.flatnonzero(single.mask).tolist() == single.entries.tolist() == list(range(8))


def test_a_pair_has_fixed_places():
    pair = layout([7, 5])
    assert pair.arms == (range(7), range(9, 14))
    assert pair.grippers == (8, 17)
    assert pair.entries.tolist() == [*range(7), 8, *range(9, 14), 17]
    assert sum(pair.mask) == 14
    assert not pair.mask[7]


@pytest.mark.parametrize("sizes", [[], [0], [32], [9, 7], [7, 9], [6, 6, 6]])
def test_what_does_not_fit_is_refused(sizes):
    with pytest.raises(ValueError, match="do not fit"):
        layout(sizes)
