"""Rollouts from several groups of scenes: the same episodes, put in order, whoever was faster."""

from __future__ import annotations

import pytest
import torch

from env_configs import toy
from f1rl.config.compose import compose
from f1rl.models.explorer import Explorer
from f1rl.models.f1 import F1Model
from f1rl.models.tokenizer import FrameTokenizer
from f1rl.phases.decisions import Rollout
from f1rl.phases.exploration import explore
from f1rl.phases.judge import RewardSettings
from f1rl.phases.players import ExplorerPlayer
from f1rl.rollout.explorer_data import ExplorerDataModule, ExplorerPlan
from f1rl_envs.vector.process import ProcessVectorEnv

STEPS, WRIST = 5, 1
SETTINGS = RewardSettings({"memory": 1.0, "uncertainty": 1.0, "success": 0.0}, (), "convergence", "entropy", 3, 0.2)


@pytest.fixture(scope="module")
def world() -> F1Model:
    config = compose(["env=toy"]).model
    torch.manual_seed(0)
    return F1Model(config, FrameTokenizer(config.tokenizer), memory_backprop=False).requires_grad_(False).eval()


@pytest.fixture(scope="module")
def envs():
    limits = {"start_timeout": 60, "step_timeout": 20, "max_restarts": 2, "log_dir": None}
    built = [ProcessVectorEnv(toy(max_steps=STEPS), size, 1, **limits) for size in (2, 1)]
    yield built
    for env in built:
        env.close()


def played(world: F1Model, envs, *, group: int = 1) -> Rollout:
    """Play rollout 1 of runs of nine episodes, five a rollout, by a deterministic explorer."""
    plan = ExplorerPlan(
        seed=3, num_episodes=9, episodes_per_update=5, group=group, scene_reset_interval=1, camera="wrist",
        n_obs=world.config.n_obs_img_steps, stride=world.config.obs_img_stride, overlap=False,
    )  # fmt: skip
    torch.manual_seed(1)
    explorer = Explorer(world.config, "gaussian", (True,) * 8 + (False,) * 24, 2, initial_std=0.6)

    def play(streams, number):
        player = ExplorerPlayer(explorer, deterministic=True)
        return explore(world, player, streams, SETTINGS, WRIST, torch.Generator())

    data = ExplorerDataModule(envs, plan)
    data.set_encoder(
        lambda frames: world.tokenizer.encode(torch.from_numpy(frames.copy())).numpy(), world.tokenizer.num_tokens
    )
    data.play, data.position = play, {"rollout": 1}
    loader = data.train_dataloader()
    assert len(loader) == 1
    (rollout,) = loader
    return rollout


def test_groups_make_the_rollout_that_one_would(world, envs):
    """The last rollout has what is left: four episodes, in the order of their numbers."""
    apart, together = played(world, envs), played(world, envs[:1])
    assert apart.position == {"rollout": 2}
    assert [episode.index for episode in apart.episodes] == [5, 6, 7, 8]
    assert [e.episode.request for e in apart.episodes] == [e.episode.request for e in together.episodes]
    assert torch.equal(apart.valid, together.valid)
    assert sorted(apart.row[apart.valid].tolist()) == list(range(apart.num_decisions))
    for name in ("stored", "value", "log_prob"):
        first, second = (rollout.arranged(getattr(rollout, name).flatten(1)[:, 0]) if name == "stored"
                         else rollout.arranged(getattr(rollout, name)) for rollout in (apart, together))  # fmt: skip
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-5)
    for name, term in together.terms.items():
        torch.testing.assert_close(apart.terms[name], term, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(apart.measures["avg_loss"], together.measures["avg_loss"])


def test_a_group_of_generations_begins_alike(world, envs):
    rollout = played(world, envs, group=2)
    seeds = [(e.episode.request.seed, e.episode.request.scene_seed) for e in rollout.episodes]
    assert [seeds[0] == seeds[1], seeds[1] == seeds[2], seeds[2] == seeds[3]] == [False, True, False]


def test_lengths_that_differ_are_padded(world, envs):
    rollout = played(world, envs)
    longer = Rollout.merged([rollout, rollout])
    assert longer.num_decisions == 2 * rollout.num_decisions
    assert longer.valid.sum() == 2 * rollout.valid.sum()
    assert [episode.index for episode in longer.episodes] == [5, 5, 6, 6, 7, 7, 8, 8]
    assert torch.equal(longer.arranged(longer.value)[:, ::2], rollout.arranged(rollout.value))
