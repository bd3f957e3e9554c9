"""The teacher's training step: memory across windows, padding, what reaches the records."""

from __future__ import annotations

from copy import deepcopy

import torch

from f1rl.config.compose import compose
from f1rl.models.f1 import F1Model
from f1rl.models.tokenizer import FrameTokenizer
from f1rl.phases.base import OptimizerPlan
from f1rl.phases.held_out import world_model_inputs
from f1rl.phases.teacher import TeacherModule
from f1rl.rollout.batch import WindowBatch

B, T = 2, 4
PLAN = OptimizerPlan(1e-3, 1.0, 0.01, (0.9, 0.95), 1.0, 0, 10, "constant", 1.0)


def build(carry_memory: bool = True) -> TeacherModule:
    config = compose(["env=toy"]).model
    model = F1Model(config, FrameTokenizer(config.tokenizer), memory_backprop=True)
    return TeacherModule(model, PLAN, carry_memory=carry_memory, camera=1)


def window(first: bool) -> WindowBatch:
    """Return a window of random contents whose first step begins an episode, or goes on with one."""
    batch = WindowBatch.allocate(
        batch=B, window=T, image_shape=(2, 3, 64, 64), n_obs=4, num_tokens=85, action_dim=32, state_dim=32
    )
    batch.image.random_(0, 256)
    for name in ("state", "prev_action", "action_history"):
        getattr(batch, name).uniform_(-1, 1)
    batch.token_history.random_(0, 512)
    batch.target.random_(0, 512)
    batch.valid.fill_(True)
    batch.episode.fill_(0)
    batch.is_first[:, 0] = first
    return batch


def test_the_second_window_starts_from_the_memory_of_the_first() -> None:
    module = build()
    one, two = window(first=True), window(first=False)
    module.training_step(one, 0)
    carried = module.memory
    assert carried.abs().max() > 0
    assert not carried.requires_grad

    output = module.training_step(two, 1)
    from_carried = module.model(world_model_inputs(two), carried).logits
    from_zero = module.model(world_model_inputs(two), module.model.initial_memory(B, "cpu")).logits
    expected = torch.nn.functional.cross_entropy(from_carried.flatten(0, 2), two.target.flatten())
    assert torch.allclose(output["loss"], expected)
    assert not torch.allclose(from_carried, from_zero)


def test_a_first_step_empties_its_own_row_only() -> None:
    module = build()
    module.training_step(window(first=True), 0)
    before, two = module.memory, window(first=False)
    two.is_first[0, 0] = True
    module.training_step(two, 1)
    fresh = before.clone()
    fresh[:, 0] = 0
    assert torch.allclose(module.memory, module.model(world_model_inputs(two), fresh).memory)


def test_without_sequential_training_every_window_starts_empty() -> None:
    module = build(carry_memory=False)
    module.training_step(window(first=True), 0)
    two = window(first=False)
    module.training_step(two, 1)
    empty = module.model.initial_memory(B, "cpu")
    assert torch.allclose(module.memory, module.model(world_model_inputs(two), empty).memory)


def test_padding_changes_neither_loss_nor_gradient() -> None:
    losses, gradients = [], []
    contents = window(first=True)
    contents.valid[1, 2:] = False
    noisy = deepcopy(contents)
    noisy.image[1, 2:].random_(0, 256)
    noisy.action_history[1, 2:] = 9.0
    noisy.target[1, 2:].random_(0, 512)
    for batch in (contents, noisy):
        torch.manual_seed(1)
        module = build()
        loss = module.training_step(batch, 0)["loss"]
        loss.backward()
        losses.append(loss.detach())
        gradients.append(module.model.memory_token.weight.grad)
    assert torch.allclose(losses[0], losses[1])
    assert torch.allclose(gradients[0], gradients[1], atol=1e-7)


def test_the_parts_of_the_loss_are_given_per_step_and_detached() -> None:
    output = build().training_step(window(first=True), 0)
    assert output["step_loss"].shape == output["step_accuracy"].shape == (B, T)
    assert not output["step_loss"].requires_grad
    assert torch.allclose(output["step_loss"].mean(), output["loss"].detach())
