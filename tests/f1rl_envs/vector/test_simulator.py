"""Both forms on the real simulator, each against one scene that is played alone."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
import torch

from env_configs import changed, simulator, toy
from f1rl_envs import registry
from f1rl_envs.errors import EnvError
from f1rl_envs.sim.batched import BatchedVectorEnv
from f1rl_envs.spec import EpisodeRequest
from f1rl_envs.vector import ProcessVectorEnv, make_vector

pytestmark = pytest.mark.sim

CONFIG = simulator(camera__resolution=32, max_steps=8, render_device="cpu", randomization__num_objects=[3, 3])
LIMITS = {"start_timeout": 120.0, "step_timeout": 60.0, "max_restarts": 2, "log_dir": None}
REQUESTS = [EpisodeRequest(0, seed=5, scene_seed=1), EpisodeRequest(1, seed=6, scene_seed=1), EpisodeRequest(2, 5, 2)]


@pytest.fixture(scope="module")
def actions():
    return np.random.default_rng(0).uniform(-1, 1, (8, 3, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def alone(actions):
    """Images and states of each request, played in this process."""
    env = registry.make(CONFIG)
    episodes = []
    for scene, request in enumerate(REQUESTS):
        seen = [env.reset(seed=request.seed, options={"scene_seed": request.scene_seed})[0]]
        seen += [env.step(action)[0] for action in actions[:, scene]]
        episodes.append({key: np.stack([observation[key] for observation in seen]) for key in ("image", "state")})
    env.close()
    return episodes


def test_workers_play_several_scenes_bit_for_bit_also_after_a_kill(actions, alone):
    with ProcessVectorEnv(CONFIG, 3, 2, **LIMITS) as env:
        seen = [{key: value.copy() for key, value in env.reset(REQUESTS)[0].items()}]
        assert env.about["renderer"]["backend"] == "cpu"
        for step, action in enumerate(actions):
            if step == 5:
                os.kill(env.pool.status()[0]["pid"], signal.SIGKILL)
            observation, _, terminated, truncated, infos = env.step(action)
            seen.append({key: value.copy() for key, value in observation.items()})
        assert env.pool.restarts == 1
    assert infos["replays"].tolist() == [1, 1, 0]
    assert not infos["lost"].any()
    assert truncated.all()
    assert not terminated.any()
    assert infos["episode"]["length"].tolist() == [8, 8, 8]
    for scene, episode in enumerate(alone):
        for key, expected in episode.items():
            assert np.array_equal(np.stack([o[key][scene] for o in seen]), expected), (scene, key)


def test_the_batched_form_keeps_the_contract_of_the_process_form(actions, alone):
    with BatchedVectorEnv(CONFIG, 1) as env:
        for scene in (0, 1, 2):  # the second episode reuses the scene of the first, the third has another
            observation, _ = env.reset([REQUESTS[scene]])
            seen = [{key: value.clone() for key, value in observation.items()}]
            for action in actions[:, scene]:
                observation, reward, terminated, truncated, infos = env.step(torch.from_numpy(action[None]))
                seen.append({key: value.clone() for key, value in observation.items()})
            assert {key: (value.dtype, tuple(value.shape)) for key, value in observation.items()} == {
                "image": (torch.uint8, (1, 2, 3, 32, 32)),
                "state": (torch.float32, (1, 32)),
            }
            assert [value.dtype for value in (reward, terminated, truncated)] == [torch.float32, torch.bool, torch.bool]
            assert (bool(terminated), bool(truncated), bool(env.finished)) == (False, True, True)
            assert int(infos["episode"]["length"]) == 8
            assert not infos["lost"].any()
            states = torch.cat([o["state"] for o in seen]).numpy()
            np.testing.assert_allclose(states, alone[scene]["state"], atol=1e-4)
            images = torch.cat([o["image"] for o in seen]).numpy().astype(int)
            assert np.abs(images - alone[scene]["image"]).mean() < 0.5
            with pytest.raises(EnvError, match="no episode under way"):
                env.step(torch.zeros(1, 32))


def test_forms_that_cannot_be_are_refused(caplog, monkeypatch):
    with pytest.raises(ValueError, match=r"num_envs is 0: it must be >= 1"):
        BatchedVectorEnv(CONFIG, 0)
    with pytest.raises(ValueError, match=r"num_envs is 2, but on .* simulates one scene; use ProcessVectorEnv"):
        BatchedVectorEnv(CONFIG, 2)
    with pytest.raises(ValueError, match=r"form=batched cannot be: env.render_device is cpu"):
        make_vector(CONFIG, 2, 1, form="batched", **LIMITS)
    with pytest.raises(ValueError, match=r"form='gpu': must be one of auto, process, batched"):
        make_vector(CONFIG, 2, 1, form="gpu", **LIMITS)
    auto = changed(CONFIG, render_device="auto")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match="form=batched cannot be: torch finds no CUDA device"):
        make_vector(auto, 2, 1, form="batched", **LIMITS)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    with pytest.raises(ValueError, match=r"form=batched cannot be: pictures are drawn by "):
        make_vector(auto, 2, 1, form="batched", **LIMITS)
    with make_vector(toy(), 2, 8, **LIMITS) as env:
        assert isinstance(env, ProcessVectorEnv)
        assert len(env.pool.workers) == 2
        assert env.about["vector"] == {
            "form": "process",
            "num_envs": 2,
            "fallback_reason": "environment 'toy' has no batched form",
        }
    assert "2 scenes run in 2 processes, not as one batch: environment 'toy' has no batched form" in caplog.text
