"""Gymnasium and ManiSkill environments of f1rl; usable without it."""

from __future__ import annotations
