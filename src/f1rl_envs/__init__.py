"""Gymnasium and ManiSkill environments of f1rl; usable without it.

Importing this package registers them with Gymnasium, and imports no simulator.
"""

from __future__ import annotations

from f1rl_envs.registration import register

register()
