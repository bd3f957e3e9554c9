"""The published layouts: which name there is which name here, and which names are left aside, and why.

Names here are those of a module that holds F1's world model (``vlm``, ``gen``, ``frames``, ``tokenizer``) and its
action expert (``act``). Sources: the module names of F1-VLA and lerobot's pi0 at transformers 4.49, VAR's VQ-VAE, and
transformers' own key conversion for pi0_base.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from f1rl.models.weights.var import var_name

Aside = tuple[tuple[str, str], ...]
"""Patterns of published names that nothing here has a place for, each with the reason."""


@dataclass(frozen=True)
class Name:
    """What one of our tensors is called in a published file."""

    published: str
    piece: int = 0
    """Number of our tensor among those that the published one holds, stacked along its first dimension."""
    leading: int = 0
    """Dimensions of extent one that the published tensor has before ours."""
    trailing: int = 0
    """Dimensions of extent one that it has behind ours."""


@dataclass(frozen=True)
class Layout:
    """A way in which published weights are named."""

    name: str
    parts: tuple[str, ...]
    """Parts of our model that a file in this layout fills."""
    rename: Callable[[str], Name | None]
    """From a name here to the one there; None for what only we have."""
    home: Callable[[str], str | None]
    """From a name there to the part of ours that it belongs to."""
    spell: Callable[[str], str] = str
    """From a name as a file may spell it to the one that ``rename`` gives."""
    aside: Aside = ()


_PALIGEMMA = "model.paligemma_with_expert.paligemma."
_EXPERTS = "model.paligemma_with_expert."
_HEADS = ("state_proj", "action_in_proj", "action_out_proj", "action_time_mlp_in", "action_time_mlp_out")

# From here to there; the first prefix that fits counts.
_VLM = (
    ("vlm.language_model.embed_tokens.weight", f"{_PALIGEMMA}language_model.lm_head.weight"),
    ("vlm.language_model.", f"{_PALIGEMMA}language_model.model."),
    ("vlm.vision_tower.", f"{_PALIGEMMA}vision_tower.vision_model."),
    ("vlm.multi_modal_projector.", f"{_PALIGEMMA}multi_modal_projector."),
)
_ACT = (
    ("act.expert.", f"{_EXPERTS}gemma_expert.model."),
    *((f"act.{head}.", f"model.{head}.") for head in _HEADS),
)
_GEN = (
    ("gen.", f"{_EXPERTS}gemma_wm_expert.model."),
    ("frames.temporal_conv.", "model.temporal_conv.conv."),
    ("frames.embed.", "model.wm_embeddings."),
    ("frames.scale.", "model.lvl_embed."),
    ("frames.norm.", "model.wm_out_layer_norm."),
    ("frames.head.", "model.wm_out_proj."),
)
_POSITIONS = {
    "frames.history_position": Name("model.wm_hist_pos_embs", leading=1),
    "frames.start": Name("model.wm_sos_token_embs", leading=1),
    "frames.history_place": Name("model.wm_cond_pos_embs", leading=1),
    "frames.position": Name("model.wm_output_position_embedding", leading=1),
}
_DEAD_HEAD = (r".*\.gemma(_wm)?_expert\.lm_head\.weight", "output heads of experts that never speak")
_VAR_ASIDE: Aside = ((r"(.*\.)?quantize\.ema_vocab_hit_SV", "how often VAR's training used each code"),)
_F1_ASIDE: Aside = (
    _DEAD_HEAD,
    (r"model\.mask_embedding", "noise of the published training, which ours does not add"),
    (r"model\.lvl_1L", "the scale of each token, which follows from the configuration"),
    *_VAR_ASIDE,
)


def _by_prefix(prefixes: tuple[tuple[str, str], ...], name: str) -> str | None:
    for ours, theirs in prefixes:
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return None


def _f1_name(name: str) -> Name | None:
    if name in _POSITIONS:
        return _POSITIONS[name]
    if name.startswith("tokenizer."):
        inner = _var(name.removeprefix("tokenizer."))
        return inner and Name(f"model.vae.{inner.published}", inner.piece, inner.leading, inner.trailing)
    found = _by_prefix((*_VLM, *_ACT, *_GEN), name)
    return found and Name(found)


def _f1_spelling(name: str) -> str:
    """The frozen autoencoder is registered twice and saved once; so is the tied embedding of words."""
    name = f"model.{name}" if name.startswith("vae.") else name
    return _tied(name)


def _tied(name: str) -> str:
    embedding = f"{_PALIGEMMA}language_model.model.embed_tokens.weight"
    return f"{_PALIGEMMA}language_model.lm_head.weight" if name == embedding else name


def _f1_home(name: str) -> str | None:
    act = [theirs for _, theirs in _ACT]
    gen = [f"{_EXPERTS}gemma_wm_expert.", "model.wm_", "model.lvl_embed.", "model.temporal_conv."]
    homes = {"vlm": [_PALIGEMMA], "act": act, "gen": gen, "tokenizer": ["model.vae."]}
    return next((part for part, starts in homes.items() if name.startswith(tuple(starts))), None)


def _pi0_name(name: str) -> Name | None:
    found = _by_prefix((*_VLM, *_ACT), name)
    return found and Name(found)


def _pi0_base_spelling(name: str) -> str:
    """Newer transformers moved the language model's head out of it, and lerobot dropped the leading ``model.``."""
    name = f"model.{name.removeprefix('model.')}"
    name = name.replace(f"{_PALIGEMMA}model.language_model.", f"{_PALIGEMMA}language_model.model.")
    name = name.replace(f"{_PALIGEMMA}lm_head.weight", f"{_PALIGEMMA}language_model.lm_head.weight")
    return _tied(name.replace(f"{_PALIGEMMA}model.", _PALIGEMMA))


def _var(name: str) -> Name | None:
    found = var_name(name)
    return found and Name(*found)


def _own_home(name: str) -> str | None:
    return name.split(".")[0]


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("f1", ("vlm", "gen", "frames", "act", "tokenizer"), _f1_name, _f1_home, _f1_spelling, _F1_ASIDE),
        Layout("pi0", ("vlm", "act"), _pi0_name, _f1_home, _tied, (_DEAD_HEAD,)),
        Layout("pi0_base", ("vlm", "act"), _pi0_name, _f1_home, _pi0_base_spelling, (_DEAD_HEAD,)),
        Layout("f1rl", ("vlm", "gen", "frames", "act", "tokenizer"), Name, _own_home),
    )
}
"""Layouts of whole policies by the names that ``model.weights.layout`` takes."""

VAR = Layout("var", ("tokenizer",), _var, lambda _: None, aside=_VAR_ASIDE)
"""VAR's VQ-VAE alone; its names are those of the tokenizer by itself."""


def reason_aside(layout: Layout, name: str) -> str | None:
    """Return why ``name``, as :attr:`Layout.rename` spells it, is left aside; None if it is not."""
    return next((reason for pattern, reason in layout.aside if re.fullmatch(pattern, name)), None)
