"""Evaluate a checkpoint on held-out seeds: what its policy reaches beside chance, how well its world model predicts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch

from f1rl.callbacks.media import video_panels
from f1rl.checkpoint import Checkpoint, load_checkpoint, load_model_weights, named_checkpoint
from f1rl.config.compose import compose
from f1rl.config.schema import Config
from f1rl.errors import CheckpointError
from f1rl.launch.build import env_config, optimizer_plan, share_cores, shown_cameras, training_device
from f1rl.launch.encoding import encoder
from f1rl.launch.explorer import explorer_plan, restored_module, start_scenes
from f1rl.launch.world_model import world_model_to_fill
from f1rl.lineage import PHASES
from f1rl.losses.rewards import RewardScales
from f1rl.phases.decisions import Rollout
from f1rl.phases.exploration import explore
from f1rl.phases.explorer_evaluation import coverage, per_episode
from f1rl.phases.explorer_phase import ExplorerModule
from f1rl.phases.judge import RewardSettings
from f1rl.phases.players import RandomPlayer
from f1rl.phases.teacher import TeacherModule
from f1rl.records.files import write_json
from f1rl.records.media import save_video
from f1rl.records.run_file import versions
from f1rl.records.statistics import CONFIDENCE, estimate, interval
from f1rl.rollout.explorer_data import ExplorerDataModule
from f1rl.rollout.source import TokenizedEpisode
from f1rl.rollout.streams import EpisodeStreams
from f1rl.typed import from_tree, to_tree

FILE = "evaluation.json"

_UNPAID = RewardSettings({}, (), "convergence", "entropy", masks=0, dropout=0.0)

Play = Callable[[EpisodeStreams], Rollout]
"""Plays the queue of a group of scenes; called by a thread for each group."""


@dataclass
class _Subject:
    """What is evaluated."""

    module: TeacherModule | ExplorerModule
    players: dict[str, Play]
    """Who plays, by name; each plays the same episodes."""
    scales: RewardScales | None = None
    """Of the rewards; None where nobody is paid."""
    weights: AbstractContextManager[None] = field(default_factory=nullcontext)
    """A context in which the networks have the weights that are evaluated."""


def evaluate(
    given: Path,
    *,
    episodes: int | None = None,
    deterministic: bool = False,
    videos: int = 0,
    output: Path | None = None,
    seed: int | None = None,
) -> dict[str, Any]:
    """Evaluate a checkpoint, and write ``evaluation.json`` and videos.

    Args:
        given: a checkpoint, or a run whose newest one is meant.
        episodes: how many held-out episodes are played; None: as many as in training.
        deterministic: the explorer acts without noise.
        videos: how many episodes of each player become a video.
        output: folder of what is written; None: the run of the checkpoint.
        seed: decides the held-out episodes and the explorer's noise; None: the run's.

    Returns:
        What ``evaluation.json`` holds.

    Raises:
        CheckpointError: it is missing, damaged, or of something else than these phases.
        EnvError: its environment cannot be started.
    """
    path = named_checkpoint(given)
    checkpoint = load_checkpoint(path)
    cfg = _config(checkpoint, path, episodes, seed)
    place = path.absolute().parent if output is None else output
    is_teacher = cfg.phase.name == "teacher"
    torch.set_num_threads(share_cores(cfg)[1])
    lightning.seed_everything(cfg.seed, verbose=False)
    indices = range(cfg.phase.val_episodes)
    scenes = start_scenes(cfg, env_config(cfg), place / "evaluation" / "logs" / "env")
    with closing(ExplorerDataModule(scenes, explorer_plan(cfg))) as data:
        if is_teacher:
            subject = _teacher(cfg, data, checkpoint, path)
        else:
            subject = _explorer(cfg, data, checkpoint, path, deterministic)
        with subject.weights:
            rollouts = {name: data.perform(play, "held_out", indices) for name, play in subject.players.items()}
        about = {"devices": data.about, "seed": cfg.seed, "episodes": len(indices)}
    if not is_teacher:
        about["policy"] = "deterministic" if deterministic else "sampled"
    result = {**_identity(checkpoint, path), **about, **_results(rollouts, subject.scales)}
    if is_teacher:
        result["world_model"] = subject.module.evaluate(rollouts["random"].episodes)
    result["videos"] = [
        str(_video(subject, episode, name, place, shown_cameras(data.spec)))
        for name, rollout in rollouts.items()
        for episode in rollout.episodes[:videos]
    ]
    write_json(place / FILE, result)
    return {**result, "file": str(place / FILE)}


def _config(checkpoint: Checkpoint, path: Path, episodes: int | None, seed: int | None) -> Config:
    """Return the configuration that travels in a checkpoint, with what is asked for now.

    Keys that the program has got since have their defaults; nothing is compiled, which takes longer than evaluating.
    """
    phase = checkpoint.training.get("phase")
    if phase not in PHASES or "config" not in checkpoint.training:
        raise CheckpointError(f"{path} is of phase {phase!r}; what can be evaluated is {', '.join(PHASES)}")
    problems: list[str] = []
    saved = _merged(to_tree(compose([f"phase={phase}"])), checkpoint.training["config"])
    cfg = from_tree(Config, saved, problems)
    if problems:
        raise CheckpointError(f"{path} was saved by another version of the program:\n  " + "\n  ".join(problems))
    wanted = {"val_episodes": cfg.phase.val_episodes if episodes is None else episodes}
    cfg = replace(cfg, model=replace(cfg.model, compile=False), phase=replace(cfg.phase, **wanted))
    return replace(cfg, seed=cfg.seed if seed is None else seed)


def _merged(default: Mapping[str, Any], saved: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**default, **saved}
    for key, value in merged.items():
        if isinstance(value, Mapping) and isinstance(default.get(key), Mapping):
            merged[key] = _merged(default[key], value)
    return merged


def _explorer(
    cfg: Config, data: ExplorerDataModule, checkpoint: Checkpoint, path: Path, deterministic: bool
) -> _Subject:
    module = restored_module(cfg, data, checkpoint, path).to(training_device(cfg))
    tokenizer = module.model.world.tokenizer
    data.set_encoder(encoder(tokenizer), tokenizer.num_tokens)
    module.on_train_start()  # takes up the mean weights, if the run kept any: they are evaluated
    module.eval()

    def by_chance(streams: EpisodeStreams) -> Rollout:
        return module.watch(streams, RandomPlayer(data.spec))

    own = functools.partial(module.sample, deterministic=deterministic)
    return _Subject(module, {"explorer": own, "random": by_chance}, module.scales, module.mean_weights())


def _teacher(cfg: Config, data: ExplorerDataModule, checkpoint: Checkpoint, path: Path) -> _Subject:
    """Return a world model that watches chance; it has no policy of its own."""
    model = world_model_to_fill(cfg)
    module = TeacherModule(model, optimizer_plan(cfg), carry_memory=True, camera=data.camera)
    load_model_weights(model, checkpoint.model, path)
    module.load_training_state(checkpoint.training["module"])
    module.to(training_device(cfg)).on_train_start()  # the mean weights, as above
    data.set_encoder(encoder(model.tokenizer), model.tokenizer.num_tokens)
    module.eval()

    def by_chance(streams: EpisodeStreams) -> Rollout:
        unused = torch.Generator(module.device)
        return explore(model, RandomPlayer(data.spec), streams, _UNPAID, data.camera, unused)

    return _Subject(module, {"random": by_chance}, weights=module.mean_weights())


def _identity(checkpoint: Checkpoint, path: Path) -> dict[str, Any]:
    training = checkpoint.training
    return {
        "checkpoint": str(path.absolute()),
        "name": training["config"]["name"],
        "phase": training["phase"],
        "episode": training["clocks"]["episode"],
        "versions": versions(),
    }


def _results(rollouts: Mapping[str, Rollout], scales: RewardScales | None) -> dict[str, Any]:
    """Return ``measures``, each with what every player reached and the paired difference, and ``per_episode``."""
    columns = {
        name: {key: values.double().cpu().numpy() for key, values in per_episode(rollout, scales).items()}
        for name, rollout in rollouts.items()
    }
    measures: dict[str, dict[str, Any]] = {}
    for key in columns["random"]:
        measures[key] = _beside({name: (own[key], None) for name, own in columns.items()})
    covered = {name: coverage(rollout.episodes) for name, rollout in rollouts.items()}
    if all(covered.values()):
        measures["coverage"] = _beside({name: (values.numpy(), float(n)) for name, (n, values) in covered.items()})
    seeds = [episode.episode.request.seed for episode in rollouts["random"].episodes]
    listed = {name: {key: values.tolist() for key, values in own.items()} for name, own in columns.items()}
    return {"confidence": CONFIDENCE, "measures": measures, "per_episode": {"seed": seeds, **listed}}


def _beside(values: Mapping[str, tuple[np.ndarray, float | None]]) -> dict[str, Any]:
    """Return the estimates of a measure, and of the difference between explorer and chance on the same seeds."""
    shown: dict[str, Any] = {name: estimate(own, total) for name, (own, total) in values.items()}
    if "explorer" in values:
        (own, total), (other, other_total) = values["explorer"], values["random"]
        shown["difference"] = interval(own - other, None if total is None else total - other_total)
    return shown


def _video(
    subject: _Subject, episode: TokenizedEpisode, name: str, place: Path, cameras: tuple[int | None, int]
) -> Path:
    """Write head, true wrist and predicted wrist of an episode side by side, and return the file."""
    path = place / "evaluation" / "videos" / f"{name}_{episode.index + 1:04d}.mp4"
    save_video(path, video_panels(episode.episode.image, subject.module.imagine(episode), cameras))
    return path
