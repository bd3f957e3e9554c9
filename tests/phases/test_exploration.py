"""Rollouts of a real explorer with a real (small, untrained) world model on the toy environment."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from env_configs import toy
from f1rl.config.compose import compose
from f1rl.losses.prediction import token_statistics
from f1rl.losses.rewards import prediction_entropy
from f1rl.models.explorer import Explorer
from f1rl.models.f1 import F1Model
from f1rl.models.tokenizer import FrameTokenizer
from f1rl.phases.decisions import Rollout
from f1rl.phases.exploration import explore
from f1rl.phases.held_out import imagine, whole_episodes, world_model_inputs
from f1rl.phases.judge import RewardSettings
from f1rl.phases.players import ExplorerPlayer, RandomPlayer
from f1rl.rollout.streams import EpisodeStreams
from f1rl_envs import registry
from f1rl_envs.collect import collect_episode
from f1rl_envs.spec import EpisodeRequest
from f1rl_envs.vector.process import ProcessVectorEnv

STEPS, WRIST = 7, 1
WEIGHTS = {"memory": 1.0, "uncertainty": 1.0, "success": 0.0}
ENTROPY = RewardSettings(WEIGHTS, ("uncertainty",), "convergence", "entropy", masks=3, dropout=0.2)


@pytest.fixture(scope="module")
def env():
    config = toy(max_steps=STEPS)
    limits = {"start_timeout": 60, "step_timeout": 20, "max_restarts": 2, "log_dir": None}
    with ProcessVectorEnv(config, 3, 1, **limits) as built:
        yield built


@pytest.fixture(scope="module")
def world() -> F1Model:
    config = compose(["env=toy"]).model
    torch.manual_seed(0)
    return F1Model(config, FrameTokenizer(config.tokenizer), memory_backprop=False).requires_grad_(False)


def make_explorer(world: F1Model, kind: str = "gaussian", executed: int = 2) -> Explorer:
    torch.manual_seed(1)
    explorer = Explorer(world.config, kind, (True,) * 8 + (False,) * 24, executed, initial_std=0.6)
    torch.nn.init.normal_(explorer.value_head[-1].weight)
    return explorer


def run(env, world: F1Model, explorer: Explorer, numbers=range(4), settings=ENTROPY, slow=None, **keys) -> Rollout:
    tokenizer, config = world.tokenizer, world.config

    def encode(frames):
        return tokenizer.encode(torch.from_numpy(frames.copy())).numpy()

    streams = EpisodeStreams(
        env, encode, WRIST, config.n_obs_img_steps, config.obs_img_stride, config.tokenizer.num_tokens
    )
    requests = [EpisodeRequest(n, seed=50 + n, scene_seed=n) for n in numbers]
    player = ExplorerPlayer(explorer, torch.Generator().manual_seed(3), **keys)
    streams.begin(requests)
    return explore(world, player, streams, settings, WRIST, torch.Generator().manual_seed(4), slow)


def test_a_rollout_holds_every_decision_of_whole_episodes(env, world):
    explorer = make_explorer(world)
    rollout = run(env, world, explorer)
    assert [episode.index for episode in rollout.episodes] == [0, 1, 2, 3]
    assert rollout.num_steps == 4 * STEPS
    assert rollout.valid.shape == (4, 4)  # seven steps, two a decision
    assert rollout.valid.all()
    assert sorted(rollout.row.flatten().tolist()) == list(range(16))
    assert not rollout.terminated.any()
    for e, episode in enumerate(rollout.episodes):
        stored = rollout.stored[rollout.row[:, e], -1].tanh()
        for step, action in enumerate(torch.from_numpy(episode.episode.action)):
            torch.testing.assert_close(action[:8], stored[step // 2, step % 2])
            assert (action[8:] == 0).all()


@pytest.mark.parametrize("kind", ["gaussian", "flow"])
def test_the_ratio_of_every_stored_action_is_one_under_the_parameters_that_chose_it(env, world, kind):
    explorer = make_explorer(world, kind)
    rollout = run(env, world, explorer)
    with torch.no_grad():
        ratio = (explorer.log_prob(rollout.situation, rollout.stored) - rollout.log_prob).exp()
    torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=0, atol=2e-5)


@pytest.mark.parametrize("executed", [1, 2, 3])
def test_loss_of_the_teacher_equals_that_of_the_whole_episode_at_once(env, world, executed):
    """Step by step with both cameras, what the rollout saw is what training would see: no frame or action is off.

    The frame that a decision led to stands for those on the way there.
    """
    rollout = run(env, world, make_explorer(world, executed=executed))
    batch = whole_episodes(rollout.episodes, world)
    with torch.no_grad():
        output = world(world_model_inputs(batch), world.initial_memory(4, "cpu"))
    ends = [min(STEPS, (step // executed + 1) * executed) - 1 for step in range(STEPS)]
    statistics = token_statistics(output.logits, batch.target)
    expected = statistics.loss[:, ends].mean(1), prediction_entropy(output.logits.flatten(0, 1)).view(4, -1)[:, ends]
    torch.testing.assert_close(rollout.measures["avg_loss"], expected[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(rollout.terms["uncertainty"].sum(0), expected[1].sum(1), rtol=1e-4, atol=1e-3)


def test_memory_rewards_add_up_to_how_much_the_memories_approached(env, world):
    rollout = run(env, world, make_explorer(world), range(2))
    batch = whole_episodes(rollout.episodes, world)
    inputs = world_model_inputs(batch)
    first = _distances(world, inputs, steps=1)
    total = rollout.terms["memory"].sum(0)
    assert (total <= first + 1e-5).all()  # what is left of a distance cannot be below zero
    other = replace(ENTROPY, memory_sign="divergence")
    opposite = run(env, world, make_explorer(world), range(2), other)
    torch.testing.assert_close(opposite.terms["memory"], -rollout.terms["memory"])


def _distances(world, inputs, steps):
    states = []
    for cameras in ((WRIST,), (0, 1)):
        cut = {name: getattr(inputs, name)[:, :steps] for name in ("state", "prev_action", "action_history")}
        cut |= {name: getattr(inputs, name)[:, :steps] for name in ("token_history", "is_first")}
        window = type(inputs)(image=inputs.image[:, :steps][:, :, list(cameras)], **cut)
        with torch.no_grad():
            states.append(world.observe(window, world.initial_memory(len(inputs.state), "cpu"))[1])
    return (states[0] - states[1]).square().mean(dim=(0, 2)).sqrt()


def test_an_episode_is_the_same_in_any_company(env, world):
    explorer = make_explorer(world)
    alone = run(env, world, explorer, [2], deterministic=True)
    crowd = run(env, world, explorer, [0, 1, 3, 2], deterministic=True)
    assert crowd.episodes[2].index == 2
    torch.testing.assert_close(alone.terms["uncertainty"][:, 0], crowd.terms["uncertainty"][:, 2], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(alone.terms["memory"][:, 0], crowd.terms["memory"][:, 2], rtol=1e-3, atol=1e-5)


def test_disagreement_is_an_option(env, world):
    rollout = run(env, world, make_explorer(world), range(2), replace(ENTROPY, uncertainty="disagreement"))
    assert (rollout.terms["uncertainty"] > 0).all()
    assert (rollout.terms["uncertainty"].sum(0) < rollout.measures["wm_entropy"] * STEPS).all()


def test_the_explorer_sees_the_wrist_camera_alone(env, world):
    """What the head camera shows changes the teacher, never the decision."""
    rollout = run(env, world, make_explorer(world), [0])
    tokens = world.config.und.vision.image_size**2 // world.config.und.vision.patch_size**2
    keys = rollout.situation.cache[0][0].shape[2]
    batch = whole_episodes(rollout.episodes, world)
    with torch.no_grad():
        both, _ = world.observe(world_model_inputs(batch), world.initial_memory(1, "cpu"))
    assert both.cache[0][0].shape[2] - keys == tokens


def test_a_slow_world_model_says_how_much_was_learned(env, world):
    """Nothing, where both are the same; the surprise alone is the loss of the frame that the action led to."""
    explorer, settings = make_explorer(world), replace(ENTROPY, weights={**WEIGHTS, "surprise": 1.0})
    alone = run(env, world, explorer, range(3), settings)
    torch.testing.assert_close(alone.terms["surprise"].sum(0) / STEPS, alone.measures["avg_loss"])
    same = run(env, world, explorer, range(3), settings, copy.deepcopy(world))
    torch.testing.assert_close(same.terms["surprise"], torch.zeros_like(same.terms["surprise"]), rtol=0, atol=1e-5)


def test_chance_does_what_the_workers_of_the_teacher_phase_do(env, world):
    tokenizer, config = world.tokenizer, world.config
    streams = EpisodeStreams(
        env,
        lambda frames: tokenizer.encode(torch.from_numpy(frames.copy())).numpy(),
        WRIST,
        config.n_obs_img_steps,
        config.obs_img_stride,
        config.tokenizer.num_tokens,
    )
    requests = [EpisodeRequest(n, seed=50 + n, scene_seed=n) for n in range(4)]
    streams.begin(requests)
    spec = env.env_spec
    rollout = explore(world, RandomPlayer(spec), streams, ENTROPY, WRIST, torch.Generator())
    for request, played in zip(requests, rollout.episodes, strict=True):
        expected = collect_episode(registry.make(toy(max_steps=STEPS)), spec, request)
        np.testing.assert_array_equal(played.episode.action, expected.action)
        np.testing.assert_array_equal(played.episode.image, expected.image)


def test_one_forward_of_the_policy_decides_for_all_scenes(env, world):
    """Three scenes play four episodes of seven steps, two steps a decision: the first round in step, the last alone."""
    explorer, rows = make_explorer(world), []
    decide = explorer.decide

    def counted(situation, **keys):
        rows.append(len(situation.state))
        return decide(situation, **keys)

    explorer.decide = counted
    run(env, world, explorer)
    assert rows == [3, 3, 3, 3, 1, 1, 1, 1]


def test_no_reward_is_known_before_the_frame_that_an_action_led_to(env, world, monkeypatch):
    """Whoever judges a decision is given frames that its last step returned, and those alone decide the terms."""
    shown = []
    look = EpisodeStreams.look

    def looked(streams):
        sight = look(streams)
        shown.append(sight.tokens.clone())
        return sight

    monkeypatch.setattr(EpisodeStreams, "look", looked)
    judged = []
    next_frame = F1Model.next_frame

    def noted(model, seen, history, target, **keys):
        judged.append(target.clone())
        return next_frame(model, seen, history, target, **keys)

    monkeypatch.setattr(F1Model, "next_frame", noted)
    rollout = run(env, world, make_explorer(world), range(3))
    assert all(map(torch.equal, judged, shown))
    assert len(judged) == len(shown)
    ends = [2, 4, 6, 7]  # two steps a decision
    for e, episode in enumerate(rollout.episodes):
        assert [tokens[e].tolist() for tokens in shown] == episode.tokens[ends].tolist()


def test_some_steps_are_imagined_as_in_the_whole_episode(env, world):
    """A picture shows four moments; they come from all frames before them, whether or not the others are predicted."""
    episode = run(env, world, make_explorer(world), [0]).episodes[0]
    whole = imagine(world, episode, torch.device("cpu"))
    assert whole.shape == (STEPS, *episode.episode.image.shape[2:])
    some = imagine(world, episode, torch.device("cpu"), [1, 6])
    np.testing.assert_allclose(some.astype(int), whole[[1, 6]].astype(int), atol=1)
