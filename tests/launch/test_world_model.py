"""Where a run's world model comes from, and that one which predicts worse than a guess is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import published_f1
from env_configs import toy
from f1rl.checkpoint import load_model_weights, own_state
from f1rl.config.compose import compose
from f1rl.config.schema import Config
from f1rl.errors import CheckpointError
from f1rl.launch.world_model import build_world_model, require_sense, world_model_to_fill
from f1rl.models.config import ModelConfig
from f1rl.models.f1 import F1Model
from f1rl.models.tokenizer import FrameTokenizer
from f1rl.rollout.source import TokenizedEpisode
from f1rl.typed import to_tree
from f1rl_envs import registry
from f1rl_envs.collect import collect_episode
from f1rl_envs.spec import EpisodeRequest


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A run from weights in the published layout, whose values are noise."""
    base = compose(["env=toy"])
    values = published_f1.sizes(to_tree(base.model))
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    save_file(published_f1.f1_tensors(values), path)
    values["weights"] |= {"source": str(path), "layout": "f1"}
    return replace(base, model=ModelConfig.from_dict(values))


def no_training() -> FrameTokenizer:
    raise AssertionError("the tokenizer is in the file")


def episode_of(model: F1Model) -> TokenizedEpisode:
    config = toy(max_steps=4)
    episode = collect_episode(registry.make(config), registry.spec(config), EpisodeRequest(0, 0, 0))
    frames = torch.from_numpy(np.ascontiguousarray(episode.image[:, 1]))
    return TokenizedEpisode(episode, model.tokenizer.encode(frames).numpy())


def test_weights_that_mean_nothing_here_are_refused(config: Config) -> None:
    model = build_world_model(config, no_training, resumed=False)
    model.frames.head.weight.data *= 30
    with pytest.raises(CheckpointError, match=r"cross-entropy of \d+\.\d\d nats(.|\n)*guessing has 3\.47"):
        require_sense(config, model, [episode_of(model)])


def test_weights_that_do_are_taken(config: Config) -> None:
    model = build_world_model(config, no_training, resumed=False)
    model.frames.head.weight.data *= 0
    model.frames.head.bias.data *= 0
    require_sense(config, model, [episode_of(model)])


def test_with_adapters_a_checkpoint_is_put_on_top_of_the_files(config: Config) -> None:
    adapted = replace(config, model=replace(config.model, lora=replace(config.model.lora, r=2)))
    model = build_world_model(adapted, no_training, resumed=False)
    model.frames.head.weight.data += 1
    again = world_model_to_fill(adapted)
    load_model_weights(again, own_state(model), Path("checkpoint-1"))
    state = again.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_a_resumed_run_needs_none_of_the_files(config: Config) -> None:
    gone = replace(config.model.weights, source=str(Path("/nowhere/model.safetensors")))
    without = replace(config, model=replace(config.model, weights=gone))
    build_world_model(without, no_training, resumed=True)
    with pytest.raises(CheckpointError, match="nowhere"):
        build_world_model(without, no_training, resumed=False)
