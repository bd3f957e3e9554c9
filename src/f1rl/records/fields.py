"""Names of what a run with an explorer records beside what every run does: who writes and who shows them agree here."""

from __future__ import annotations

EXPLORER = (
    # its last update
    "policy_loss",
    "value_loss",  # PPO
    "entropy",  # nats per real action entry
    "approx_kl",  # nats per decision, from the policy that collected the rollout
    "kl",  # GRPO: from the reference policy
    "clip_fraction",
    "explained_variance",  # PPO
    # what the episode paid, term by term and before scales and weights: means over its steps
    "reward_memory",
    "reward_uncertainty",
    "reward_success",
    # what the world model made of the episode: means over its steps
    "memory_distance",
    "wm_entropy",  # nats per token
)
"""Fields of a line of ``episode_metrics.jsonl`` where an explorer learns; ``avg_loss`` is the world model's there."""

ADVERSARY = (
    "reward_surprise",  # mean over the episode's steps
    "wm_loss",  # of the world model's last updates, nats per token
)
"""Further fields of a line where the world model learns as well."""

EXPLORER_HELD_OUT = ("val_reward", "val_coverage", "val_object_displacement", "val_contact_rate")
"""Fields of an entry of the ``val_history``; with ``_random_policy`` behind, what random actions reach."""

ADVERSARY_HELD_OUT = ("val_explorer_loss",)
"""The world model's loss on held-out episodes of the explorer, nats per token; ``val_loss`` is that on random ones."""
