"""Names of VAR's VQ-VAE, whose networks here are those of ``diffusers``."""

from __future__ import annotations

import re

_LEVELS = 5
"""Resolutions of VAR's autoencoder; its decoder counts them from the finest, ours from the coarsest."""
_RULES = (
    (r"quantizer\.codebook\.weight", r"quantize.embedding.weight"),
    (r"quantizer\.phi\.(\d+)\.(.*)", r"quantize.quant_resi.qresi_ls.\1.\2"),
    (r"(quant_conv|post_quant_conv)\.(.*)", r"\1.\2"),
    (r"(encoder|decoder)\.(conv_in|conv_out)\.(.*)", r"\1.\2.\3"),
    (r"(encoder|decoder)\.conv_norm_out\.(.*)", r"\1.norm_out.\2"),
    (r"(encoder|decoder)\.mid_block\.resnets\.0\.(.*)", r"\1.mid.block_1.\2"),
    (r"(encoder|decoder)\.mid_block\.resnets\.1\.(.*)", r"\1.mid.block_2.\2"),
    (r"(encoder|decoder)\.mid_block\.attentions\.0\.(.*)", r"\1.mid.attn_1.\2"),
    (r"encoder\.down_blocks\.(\d+)\.resnets\.(\d+)\.(.*)", r"encoder.down.\1.block.\2.\3"),
    (r"encoder\.down_blocks\.(\d+)\.attentions\.(\d+)\.(.*)", r"encoder.down.\1.attn.\2.\3"),
    (r"encoder\.down_blocks\.(\d+)\.downsamplers\.0\.conv\.(.*)", r"encoder.down.\1.downsample.conv.\2"),
    (r"decoder\.up_blocks\.(\d+)\.resnets\.(\d+)\.(.*)", r"decoder.up.\1.block.\2.\3"),
    (r"decoder\.up_blocks\.(\d+)\.attentions\.(\d+)\.(.*)", r"decoder.up.\1.attn.\2.\3"),
    (r"decoder\.up_blocks\.(\d+)\.upsamplers\.0\.conv\.(.*)", r"decoder.up.\1.upsample.conv.\2"),
)
"""From here to there, still with the inner names of ``diffusers``."""


def var_name(name: str) -> tuple[str, int, int, int] | None:
    """Return what VAR calls our tensor ``name``: its name, piece, and leading and trailing extents of one.

    VAR's attention is made of 1 x 1 convolutions and keeps queries, keys and values in one; ours of matrices.
    """
    found = next((re.sub(rule, there, name) for rule, there in _RULES if re.fullmatch(rule, name)), None)
    if found is None:
        return None  # statistics of our codebook, which follow from it
    found = re.sub(r"^decoder\.up\.(\d+)", lambda match: f"decoder.up.{_LEVELS - 1 - int(match[1])}", found)
    found = found.replace(".conv_shortcut.", ".nin_shortcut.").replace(".group_norm.", ".norm.")
    matrix = re.fullmatch(r"(.*)\.(?:to_([qkv])|to_out\.0)\.(weight|bias)", found)
    if matrix is None:
        return found, 0, 0, 0
    base, letter, kind = matrix.groups()
    inner = "qkv" if letter else "proj_out"
    return f"{base}.{inner}.{kind}", "qkv".index(letter or "q"), 0, 2 if kind == "weight" else 0
