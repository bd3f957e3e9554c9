"""Is what explorers find worth learning from? Two world models from the start, and contacts that neither has seen.

One learns from all episodes that a student and an adversary recorded in their training, the other from as many that a
teacher recorded with random actions; tokenizer, initial weights and number of updates are the same. Both are judged on
held-out episodes that are rich in contacts, played by random actions that tend downwards, which neither was trained on,
and by the student itself.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from f1rl.checkpoint import list_checkpoints, load_checkpoint
from f1rl.config.schema import Config
from f1rl.dataset.reader import EpisodeDataset
from f1rl.launch.encoding import encoder
from f1rl.launch.explorer import ExplorerAssembly
from f1rl.launch.rundir import RunDirectory
from f1rl.losses.prediction import masked_mean, token_statistics
from f1rl.models.explorer import Decision, Situation
from f1rl.models.f1 import F1Model
from f1rl.phases.base import OptimizerPlan, build_optimizer
from f1rl.phases.held_out import prediction_loss, world_model_inputs
from f1rl.phases.players import RandomPlayer
from f1rl.records.files import write_json
from f1rl.rollout.replay import ReplayBuffer, ReplayMix
from f1rl.rollout.source import TokenizedEpisode
from f1rl.rollout.stream import BatchRing, SequentialStream, WindowShape
from f1rl.typed import from_tree

CONTACT_RICH = 0.1
"""Share of an episode's steps with a contact from which on it counts as rich in contacts."""
_STREAMS, _WINDOW, _PASSES = 8, 8, 2
_PULL = 0.5

Losses = dict[str, dict[str, list[float]]]
"""By what the world model was trained on, and by who played the held-out episodes: one loss for each of these."""


class Downwards(RandomPlayer):
    """Random actions that tend downwards, so that the gripper soon is among the objects."""

    def choose(self, scenes: Tensor, situation: Situation) -> Decision:
        """Return the next action of each scene; its third entry moves the gripper up and down."""
        decision = super().choose(scenes, situation)
        decision.action[..., 2] = (decision.action[..., 2] - _PULL).clamp(-1.0, 1.0)
        return decision


def compare_data(teacher: Path, student: Path, adversary: Path, held_out: int, seed: int) -> Losses:
    """Return the losses of both world models; they are kept beside the runs, and read from there the next time.

    Args:
        teacher: run with ``rollout=record``, whose episodes are chance's.
        student: run with ``rollout=record``.
        adversary: run with ``rollout=record``.
        held_out: episodes of the student to judge by; three times as many are played downwards. Of both, those count
            that are rich in contacts.
        seed: of initial weights and order of episodes.
    """
    kept = student.parent / "comparison.json"
    if not kept.exists():
        cfg, world, judged_by = _held_out(student, held_out)
        explorers = [*_recorded(student, world), *_recorded(adversary, world)]
        chance = _recorded(teacher, world)[: len(explorers)]
        losses: Losses = {}
        for name, episodes in (("explorers", explorers), ("chance", chance)):
            print(f"-- world model of seed {seed} on {len(episodes)} episodes of {name}", flush=True)
            model = _fit(cfg, world, episodes, seed)
            losses[name] = {
                player: [prediction_loss(model, [e], torch.device("cpu")) for e in found]
                for player, found in judged_by.items()
            }
        write_json(kept, losses)
    return json.loads(kept.read_text())


def _held_out(student: Path, count: int) -> tuple[Config, F1Model, dict[str, list[TokenizedEpisode]]]:
    """Return the student's configuration and world model, and for each player the episodes to judge by."""
    checkpoint = load_checkpoint(list_checkpoints(student)[-1])
    cfg = from_tree(Config, checkpoint.training["config"], [])
    cfg = replace(cfg, rollout=replace(cfg.rollout, record=replace(cfg.rollout.record, enabled=False)))
    assembly = ExplorerAssembly(cfg, RunDirectory(student.parent / "comparison", None, checkpoint, 0), [])
    try:
        module, data = assembly.module(), assembly.data
        players = {
            "downwards": (lambda streams: module.watch(streams, Downwards(data.spec)), 3 * count),
            "student": (module.sample, count),
        }
        found = {name: data.perform(play, "held_out", range(n)).episodes for name, (play, n) in players.items()}
    finally:
        assembly.data.close()
    rich = {name: [e for e in episodes if _contacts(e) >= CONTACT_RICH] for name, episodes in found.items()}
    return cfg, module.model.world, rich


def _contacts(episode: TokenizedEpisode) -> float:
    return episode.episode.info["contact_steps"] / len(episode)


def _recorded(run: Path, world: F1Model) -> list[TokenizedEpisode]:
    """Return the episodes that a run recorded, in the tokens of ``world``."""
    dataset, encode = EpisodeDataset(run / "dataset"), encoder(world.tokenizer)
    wrist = dataset.meaning.spec.camera_index("wrist")
    episodes = [dataset.read(place.number, place.number) for place in dataset.episodes]
    return [TokenizedEpisode(e, encode(e.image[:, wrist]).astype(np.int16)) for e in episodes]


def _fit(cfg: Config, world: F1Model, episodes: list[TokenizedEpisode], seed: int) -> F1Model:
    """Train a new world model with the tokenizer of ``world`` on each step of ``episodes`` about ``_PASSES`` times."""
    torch.manual_seed(seed)
    model = F1Model(cfg.model, world.tokenizer, memory_backprop=True)
    steps = _PASSES * sum(map(len, episodes)) // (_STREAMS * _WINDOW)
    plan = OptimizerPlan(3e-3, 0.2, 0.01, (0.9, 0.95), 1.0, steps // 20, steps, "cosine", 0.05)
    optimizer, schedule = build_optimizer(model, plan)
    buffer = ReplayBuffer(ReplayMix(1, 0.0, 1.0, _STREAMS, seed))
    buffer.add_random(episodes)
    first = episodes[0].episode
    ring = BatchRing.allocate(
        batch=_STREAMS,
        window=_WINDOW,
        image_shape=first.image.shape[1:],
        n_obs=cfg.model.n_obs_img_steps,
        num_tokens=world.tokenizer.num_tokens,
        action_dim=first.action.shape[1],
        state_dim=first.state.shape[1],
    )
    windows = SequentialStream(buffer, ring, WindowShape(_STREAMS, _WINDOW, cfg.model.obs_img_stride), range(2**40))
    memory = model.initial_memory(_STREAMS, "cpu")
    for _, batch in zip(range(steps), windows, strict=False):
        output = model(world_model_inputs(batch), memory)
        memory = output.memory.detach()
        optimizer.zero_grad()
        masked_mean(token_statistics(output.logits, batch.target).loss, batch.valid).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), plan.grad_clip)
        optimizer.step()
        schedule.step()
    return model
