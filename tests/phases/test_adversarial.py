"""The slow world model that the surprise may be judged by."""

from __future__ import annotations

import torch

from f1rl.config.compose import compose
from f1rl.models.f1 import F1Model
from f1rl.models.tokenizer import FrameTokenizer
from f1rl.phases.adversarial import slow_copy


def test_the_slow_world_model_has_weights_of_its_own_only_where_they_learn() -> None:
    config = compose(["env=toy"]).model
    world = F1Model(config, FrameTokenizer(config.tokenizer), memory_backprop=False)
    world.vlm.requires_grad_(False)
    slow = slow_copy(world)
    own = dict(world.named_parameters())
    shared = {name for name, parameter in slow.named_parameters() if parameter is own[name]}
    assert {name.split(".")[0] for name in shared} == {"vlm", "tokenizer"}
    assert all((name in shared) != parameter.requires_grad for name, parameter in slow.named_parameters())
    with torch.no_grad():
        world.frames.head.weight += 1
    assert not torch.equal(slow.frames.head.weight, world.frames.head.weight)
