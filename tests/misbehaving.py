"""Environments that misbehave, for the id ``misbehaving:NAME``; workers find the module by the parent's import path."""

from __future__ import annotations

import os
import signal
import sys
import time

import gymnasium
import numpy as np

from f1rl_envs import toy
from f1rl_envs.errors import RendererError


class Toy:
    """Describes a toy environment."""

    def spec(self, config):
        return toy.spec(config)


class Actor(Toy):
    """A toy environment that does something at a step; "seed" restricts it to one episode, "once" to one time."""

    def __init__(self, act):
        self.act = act

    def make(self, config):
        env = toy.make(config)
        reset, step = env.reset, env.step
        state = {"step": 0, "seed": None}

        def new_reset(*, seed=None, options=None):
            state.update(step=0, seed=seed)
            return reset(seed=seed, options=options)

        def new_step(action):
            state["step"] += 1
            flag = config.get("once")
            wanted = state["step"] == config.get("step", 5) and config.get("seed") in (None, state["seed"])
            if wanted and not (flag and os.path.exists(flag)):
                if flag:
                    open(flag, "w").close()
                self.act()
            return step(action)

        env.reset, env.step = new_reset, new_step
        return env


def boom():
    raise KeyError("the drawer is stuck")


def hang_in_the_driver():
    time.sleep(3600)


def no_renderer():
    raise RendererError("no Vulkan driver was found")


raises = Actor(boom)
hangs = Actor(hang_in_the_driver)
exits = Actor(lambda: os._exit(7))
crashes = Actor(lambda: os.kill(os.getpid(), signal.SIGSEGV))
blind = Actor(no_renderer)


class Slow(Toy):
    """Each step sleeps."""

    def make(self, config):
        env = toy.make(config)
        step = env.step

        def slow_step(action):
            time.sleep(config["sleep"])
            return step(action)

        env.step = slow_step
        return env


slow = Slow()


class Unbuildable(Toy):
    def make(self, config):
        raise ValueError("the table has no legs")


unbuildable = Unbuildable()


class Stillborn(Toy):
    """Does not come back from its construction."""

    def make(self, config):
        hang_in_the_driver()


stillborn = Stillborn()


class Liar(Toy):
    """Builds something else than it describes."""

    def make(self, config):
        return toy.make({**config, "camera": {**config["camera"], "resolution": 64}})


liar = Liar()


class Generous(Toy):
    """Observes more than its spec says."""

    def make(self, config):
        env = toy.make(config)
        env.observation_space = gymnasium.spaces.Dict({**env.observation_space, "depth": env.action_space})
        return env


generous = Generous()


class Talker(Toy):
    """Writes to standard output and error, and tells about its process."""

    def make(self, config):
        os.write(1, b"driver says hello\n")
        sys.stderr.write("warning of the simulator\n")
        env = toy.make(config)
        step = env.step

        def telling_step(action):
            *rest, info = step(action)
            told = {name: float(os.environ[name]) for name in ("OMP_NUM_THREADS", "LP_NUM_THREADS")}
            told |= {"torch": "torch" in sys.modules, "note": "not a number", "array": np.zeros(3)}
            return *rest, info | told

        env.step = telling_step
        return env


talker = Talker()


class Scored(Toy):
    """Pays the first action entry, reports its number of steps, and is solved by an action above 0.9."""

    def make(self, config):
        env = toy.make(config)
        step = env.step
        state = {"step": 0}

        def scored_step(action):
            state["step"] += 1
            observation, _, _, truncated, _ = step(action)
            solved = bool(action[0] > 0.9)
            info = {"success": solved, "contacts": float(action[1]), "ee_voxel": np.array([7, state["step"]])}
            return observation, float(action[0]), solved, truncated, info

        env.step = scored_step
        return env


scored = Scored()


class Forgetful(Toy):
    """Starts somewhere else in each process."""

    def make(self, config):
        env = toy.make(config)
        reset = env.reset
        env.reset = lambda *, seed=None, options=None: reset(seed=seed + os.getpid(), options=options)
        return env


forgetful = Forgetful()
