"""Many scenes behind one call: as worker processes on the CPU, or as one batched simulation on a GPU."""

from f1rl_envs.vector.interface import VectorEnv
from f1rl_envs.vector.make import make_vector
from f1rl_envs.vector.process import ProcessVectorEnv

__all__ = ["ProcessVectorEnv", "VectorEnv", "make_vector"]
