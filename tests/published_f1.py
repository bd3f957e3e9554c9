"""F1-VLA's published tensors at a tiny size, and what they compute, written out without any of the project's models.

Names and shapes are spelled as F1-VLA's modules spell them (transformers 4.49), the forward passes as plain sums over
all tokens: no cache, no fused attention, one step at a time.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

Tensors = dict[str, Tensor]

PREFIX = "model.paligemma_with_expert."
_GROUPS, _LEVELS = 4, 5


def sizes(values: dict[str, Any]) -> dict[str, Any]:
    """Change the small preset ``values`` to the published arrangement at a tiny size, in place, and return it."""
    values["image_size"] = 64
    values["und_sees_history"] = True
    values["und"]["vision"] |= {"image_size": 64}
    values["tokenizer"] |= {
        "image_size": 64,
        "patch": 1,
        "widths": [4, 4, 8, 8, 12],
        "res_blocks": 2,
        "norm_groups": _GROUPS,
        "attention": True,
        "linear_path": False,
        "scales": [1, 2, 3, 4],
        "codebook_size": 32,
        "codebook_dim": 8,
        "phi_count": 4,
    }
    values["gen"] |= {"history_side": None, "latent_prior": False}
    values["act"] |= {"published_heads": True}
    return values


class _Maker:
    """Random tensors by name."""

    def __init__(self, seed: int) -> None:
        self.tensors: Tensors = {}
        self._generator = torch.Generator().manual_seed(seed)

    def add(self, name: str, *shape: int, scale: float | None = None) -> None:
        scale = scale if scale is not None else 1 / math.sqrt(max(1, math.prod(shape[1:])))
        self.tensors[name] = scale * torch.randn(shape, generator=self._generator)

    def linear(self, name: str, out: int, into: int, *kernel: int, bias: bool = True) -> None:
        self.add(f"{name}.weight", out, into, *kernel)
        if bias:
            self.add(f"{name}.bias", out, scale=0.1)

    def norm(self, name: str, width: int) -> None:
        self.add(f"{name}.weight", width, scale=0.3)
        self.add(f"{name}.bias", width, scale=0.1)

    def gemma(self, name: str, attention: dict[str, int], width: int, inner: int) -> None:
        size = attention["head_dim"]
        for i in range(attention["layers"]):
            layer = f"{name}.layers.{i}"
            self.linear(f"{layer}.self_attn.q_proj", attention["heads"] * size, width, bias=False)
            self.linear(f"{layer}.self_attn.k_proj", attention["kv_heads"] * size, width, bias=False)
            self.linear(f"{layer}.self_attn.v_proj", attention["kv_heads"] * size, width, bias=False)
            self.linear(f"{layer}.self_attn.o_proj", width, attention["heads"] * size, bias=False)
            self.linear(f"{layer}.mlp.gate_proj", inner, width, bias=False)
            self.linear(f"{layer}.mlp.up_proj", inner, width, bias=False)
            self.linear(f"{layer}.mlp.down_proj", width, inner, bias=False)
            self.add(f"{layer}.input_layernorm.weight", width, scale=0.2)
            self.add(f"{layer}.post_attention_layernorm.weight", width, scale=0.2)
        self.add(f"{name}.norm.weight", width, scale=0.2)


def paligemma(values: dict[str, Any], make: _Maker) -> None:
    """Add the understanding expert's tensors."""
    und, vision, name = values["und"], values["und"]["vision"], f"{PREFIX}paligemma"
    make.add(f"{name}.language_model.lm_head.weight", und["vocab_size"], und["width"])
    make.gemma(f"{name}.language_model.model", values["attention"], und["width"], und["mlp_width"])
    width, tower = vision["width"], f"{name}.vision_tower.vision_model"
    side = vision["patch_size"]
    make.linear(f"{tower}.embeddings.patch_embedding", width, 3, side, side)
    make.add(f"{tower}.embeddings.position_embedding.weight", (vision["image_size"] // side) ** 2, width)
    for i in range(vision["layers"]):
        layer = f"{tower}.encoder.layers.{i}"
        for part in ("q", "k", "v"):
            make.linear(f"{layer}.self_attn.{part}_proj", width, width)
        make.linear(f"{layer}.self_attn.out_proj", width, width)
        make.norm(f"{layer}.layer_norm1", width)
        make.norm(f"{layer}.layer_norm2", width)
        make.linear(f"{layer}.mlp.fc1", vision["mlp_width"], width)
        make.linear(f"{layer}.mlp.fc2", width, vision["mlp_width"])
    make.norm(f"{tower}.post_layernorm", width)
    make.linear(f"{name}.multi_modal_projector.linear", und["width"], width)


def action_head(values: dict[str, Any], make: _Maker) -> None:
    """Add the action expert's tensors, its dead output head included."""
    act, width = values["act"], values["act"]["width"]
    make.gemma(f"{PREFIX}gemma_expert.model", values["attention"], width, act["mlp_width"])
    make.add(f"{PREFIX}gemma_expert.lm_head.weight", 7, width)
    make.linear("model.state_proj", width, values["state_dim"])
    make.linear("model.action_in_proj", width, values["action_dim"])
    make.linear("model.action_out_proj", values["action_dim"], width)
    make.linear("model.action_time_mlp_in", width, 2 * width)
    make.linear("model.action_time_mlp_out", width, width)


def world_model(values: dict[str, Any], make: _Maker) -> None:
    """Add the generation expert's tensors, its dead output head included."""
    gen, vq = values["gen"], values["tokenizer"]
    width, dim, length = gen["width"], vq["codebook_dim"], sum(side**2 for side in vq["scales"])
    make.gemma(f"{PREFIX}gemma_wm_expert.model", values["attention"], width, gen["mlp_width"])
    make.add(f"{PREFIX}gemma_wm_expert.lm_head.weight", 7, width)
    make.linear("model.temporal_conv.conv", dim, dim, values["n_obs_img_steps"])
    make.linear("model.wm_embeddings", width, dim)
    make.add("model.lvl_embed.weight", len(vq["scales"]), width, scale=0.3)
    make.norm("model.wm_out_layer_norm", width)
    make.linear("model.wm_out_proj", vq["codebook_size"], width)
    make.add("model.wm_hist_pos_embs", 1, length - 1, dim, scale=0.3)
    make.add("model.wm_sos_token_embs", 1, 1, width, scale=0.3)
    make.add("model.wm_cond_pos_embs", 1, length, width, scale=0.3)
    make.add("model.wm_output_position_embedding", 1, length, width, scale=0.3)
    make.add("model.mask_embedding", 1, 1, dim, scale=0.3)
    make.tensors["model.lvl_1L"] = torch.cat([torch.full((s * s,), k) for k, s in enumerate(vq["scales"])])[None]


def vqvae(values: dict[str, Any], make: _Maker, prefix: str = "") -> None:
    """Add the tensors of VAR's autoencoder."""
    vq = values["tokenizer"]
    widths, dim = vq["widths"], vq["codebook_dim"]

    def block(name: str, into: int, out: int) -> None:
        make.norm(f"{name}.norm1", into)
        make.linear(f"{name}.conv1", out, into, 3, 3)
        make.norm(f"{name}.norm2", out)
        make.linear(f"{name}.conv2", out, out, 3, 3)
        if into != out:
            make.linear(f"{name}.nin_shortcut", out, into, 1, 1)

    def attention(name: str, width: int) -> None:
        make.norm(f"{name}.norm", width)
        make.linear(f"{name}.qkv", 3 * width, width, 1, 1)
        make.linear(f"{name}.proj_out", width, width, 1, 1)

    def middle(name: str) -> None:
        block(f"{name}.block_1", widths[-1], widths[-1])
        attention(f"{name}.attn_1", widths[-1])
        block(f"{name}.block_2", widths[-1], widths[-1])

    encoder, decoder = f"{prefix}encoder", f"{prefix}decoder"
    make.linear(f"{encoder}.conv_in", widths[0], 3, 3, 3)
    into = widths[0]
    for level, width in enumerate(widths):
        for j in range(vq["res_blocks"]):
            block(f"{encoder}.down.{level}.block.{j}", into, width)
            into = width
            if level == len(widths) - 1:
                attention(f"{encoder}.down.{level}.attn.{j}", width)
        if level < len(widths) - 1:
            make.linear(f"{encoder}.down.{level}.downsample.conv", width, width, 3, 3)
    middle(f"{encoder}.mid")
    make.norm(f"{encoder}.norm_out", widths[-1])
    make.linear(f"{encoder}.conv_out", dim, widths[-1], 3, 3)

    make.linear(f"{decoder}.conv_in", widths[-1], dim, 3, 3)
    middle(f"{decoder}.mid")
    into = widths[-1]
    for level in reversed(range(len(widths))):
        width = widths[level]
        for j in range(vq["res_blocks"] + 1):
            block(f"{decoder}.up.{level}.block.{j}", into, width)
            into = width
            if level == len(widths) - 1:
                attention(f"{decoder}.up.{level}.attn.{j}", width)
        if level > 0:
            make.linear(f"{decoder}.up.{level}.upsample.conv", width, width, 3, 3)
    make.norm(f"{decoder}.norm_out", widths[0])
    make.linear(f"{decoder}.conv_out", 3, widths[0], 3, 3)
    make.linear(f"{prefix}quant_conv", dim, dim, 3, 3)
    make.linear(f"{prefix}post_quant_conv", dim, dim, 3, 3)
    make.add(f"{prefix}quantize.embedding.weight", vq["codebook_size"], dim, scale=0.5)
    make.add(f"{prefix}quantize.ema_vocab_hit_SV", len(vq["scales"]), vq["codebook_size"])
    for k in range(4):
        make.linear(f"{prefix}quantize.quant_resi.qresi_ls.{k}", dim, dim, 3, 3)


def f1_tensors(values: dict[str, Any]) -> Tensors:
    """Return a whole F1 checkpoint."""
    make = _Maker(3)
    paligemma(values, make)
    action_head(values, make)
    world_model(values, make)
    vqvae(values, make, "vae.")
    return make.tensors


def pi0_tensors(values: dict[str, Any]) -> Tensors:
    """Return a pi0 checkpoint as lerobot first published it."""
    make = _Maker(4)
    paligemma(values, make)
    action_head(values, make)
    return make.tensors


def pi0_base_tensors(values: dict[str, Any]) -> Tensors:
    """Return a pi0 checkpoint as lerobot publishes it now."""
    renamed = {}
    for name, tensor in pi0_tensors(values).items():
        short = name.removeprefix("model.")
        inner = short.removeprefix("paligemma_with_expert.paligemma.")
        if inner != short and inner.startswith("language_model.lm_head"):
            short = "paligemma_with_expert.paligemma.lm_head.weight"
        elif inner.startswith("language_model.model."):
            short = (
                f"paligemma_with_expert.paligemma.model.language_model.{inner.removeprefix('language_model.model.')}"
            )
        elif inner != short:
            short = f"paligemma_with_expert.paligemma.model.{inner}"
        renamed[short] = tensor
    return renamed


def var_tensors(values: dict[str, Any]) -> Tensors:
    """Return VAR's autoencoder by itself."""
    make = _Maker(5)
    vqvae(values, make)
    return make.tensors


# --- what they compute -----------------------------------------------------------------------------------------------


def _linear(w: Tensors, name: str, x: Tensor) -> Tensor:
    y = x @ w[f"{name}.weight"].T
    return y + w[f"{name}.bias"] if f"{name}.bias" in w else y


def _layer_norm(w: Tensors, name: str, x: Tensor, eps: float) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt()
    return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]


def _rms_norm(w: Tensors, name: str, x: Tensor) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * (1 + w[f"{name}.weight"])


def _gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _rotate(x: Tensor, positions: Tensor) -> Tensor:
    """Turn pairs (i, i + half) of ``x [..., tokens, size]`` by angles that grow with the position."""
    half = x.shape[-1] // 2
    angle = positions[:, None].float() * 10000.0 ** (-torch.arange(half) / half)
    first, second = x[..., :half], x[..., half:]
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def joint_pass(w: Tensors, names: list[str], tokens: list[Tensor], mask: Tensor, positions: Tensor, heads: int) -> list:
    """Run one sequence ``[n_e, width_e]`` per expert through all layers; ``mask`` says who sees whom."""
    layers = 1 + max(int(key.split(".layers.")[1].split(".")[0]) for key in w if key.startswith(f"{names[0]}.layers."))
    sizes, hidden = [len(t) for t in tokens], list(tokens)
    for i in range(layers):
        at = [f"{name}.layers.{i}" for name in names]
        normed = [_rms_norm(w, f"{a}.input_layernorm", h) for a, h in zip(at, hidden, strict=True)]
        q, k, v = (
            torch.cat([_linear(w, f"{a}.self_attn.{part}_proj", n) for a, n in zip(at, normed, strict=True)])
            for part in "qkv"
        )
        size = k.shape[-1]
        q = _rotate(q.view(len(q), heads, size).transpose(0, 1), positions)
        k = _rotate(k, positions)
        score = (q @ k.T / math.sqrt(size)).masked_fill(~mask, -math.inf)
        seen = (score.softmax(-1) @ v).transpose(0, 1).flatten(1)
        for e, share in enumerate(seen.split(sizes)):
            h = hidden[e] + _linear(w, f"{at[e]}.self_attn.o_proj", share)
            n = _rms_norm(w, f"{at[e]}.post_attention_layernorm", h)
            inner = _gelu(_linear(w, f"{at[e]}.mlp.gate_proj", n)) * _linear(w, f"{at[e]}.mlp.up_proj", n)
            hidden[e] = h + _linear(w, f"{at[e]}.mlp.down_proj", inner)
    return [_rms_norm(w, f"{name}.norm", h) for name, h in zip(names, hidden, strict=True)]


def siglip(w: Tensors, pixels: Tensor, heads: int) -> Tensor:
    """Return the projected tokens ``[tokens, width]`` of one picture ``[3, s, s]`` in [-1, 1]."""
    tower = f"{PREFIX}paligemma.vision_tower.vision_model"
    kernel = w[f"{tower}.embeddings.patch_embedding.weight"]
    patches = F.unfold(pixels[None], kernel.shape[-1], stride=kernel.shape[-1])[0].T
    x = patches @ kernel.flatten(1).T + w[f"{tower}.embeddings.patch_embedding.bias"]
    x = x + w[f"{tower}.embeddings.position_embedding.weight"]
    i = 0
    while f"{tower}.encoder.layers.{i}.mlp.fc1.weight" in w:
        layer = f"{tower}.encoder.layers.{i}"
        n = _layer_norm(w, f"{layer}.layer_norm1", x, 1e-6)
        q, k, v = (
            _linear(w, f"{layer}.self_attn.{part}_proj", n).unflatten(-1, (heads, -1)).transpose(0, 1) for part in "qkv"
        )
        seen = (q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])).softmax(-1) @ v
        x = x + _linear(w, f"{layer}.self_attn.out_proj", seen.transpose(0, 1).flatten(1))
        n = _layer_norm(w, f"{layer}.layer_norm2", x, 1e-6)
        x = x + _linear(w, f"{layer}.mlp.fc2", _gelu(_linear(w, f"{layer}.mlp.fc1", n)))
        i += 1
    x = _layer_norm(w, f"{tower}.post_layernorm", x, 1e-6)
    return _linear(w, f"{PREFIX}paligemma.multi_modal_projector.linear", x)


def embed_text(w: Tensors, ids: Tensor) -> Tensor:
    """Return the scaled embeddings ``[tokens, width]``."""
    table = w[f"{PREFIX}paligemma.language_model.lm_head.weight"]
    return table[ids] * math.sqrt(table.shape[1])


class Vqvae:
    """VAR's autoencoder from its tensors, scale by scale."""

    def __init__(self, tensors: Tensors, scales: list[int], prefix: str = "") -> None:
        self.w = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
        self.scales, self.grid = scales, scales[-1]

    def _conv(self, name: str, x: Tensor, **how: int) -> Tensor:
        return F.conv2d(x, self.w[f"{name}.weight"], self.w[f"{name}.bias"], **how)

    def _norm(self, name: str, x: Tensor) -> Tensor:
        return F.group_norm(x, _GROUPS, self.w[f"{name}.weight"], self.w[f"{name}.bias"], 1e-6)

    def _block(self, name: str, x: Tensor) -> Tensor:
        h = self._conv(f"{name}.conv1", F.silu(self._norm(f"{name}.norm1", x)), padding=1)
        h = self._conv(f"{name}.conv2", F.silu(self._norm(f"{name}.norm2", h)), padding=1)
        return h + (self._conv(f"{name}.nin_shortcut", x) if f"{name}.nin_shortcut.weight" in self.w else x)

    def _attention(self, name: str, x: Tensor) -> Tensor:
        q, k, v = self._conv(f"{name}.qkv", self._norm(f"{name}.norm", x)).flatten(2).chunk(3, dim=1)
        weight = (q.transpose(1, 2) @ k / math.sqrt(q.shape[1])).softmax(-1)
        return x + self._conv(f"{name}.proj_out", (v @ weight.transpose(1, 2)).view_as(x))

    def _middle(self, name: str, x: Tensor) -> Tensor:
        return self._block(f"{name}.block_2", self._attention(f"{name}.attn_1", self._block(f"{name}.block_1", x)))

    def latent(self, pixels: Tensor) -> Tensor:
        """Return the latent before quantisation of ``pixels [N, 3, s, s]``."""
        x = self._conv("encoder.conv_in", pixels, padding=1)
        for level in range(_LEVELS):
            for j in range(2):
                x = self._block(f"encoder.down.{level}.block.{j}", x)
                if level == _LEVELS - 1:
                    x = self._attention(f"encoder.down.{level}.attn.{j}", x)
            if level < _LEVELS - 1:
                x = self._conv(f"encoder.down.{level}.downsample.conv", F.pad(x, (0, 1, 0, 1)), stride=2)
        x = F.silu(self._norm("encoder.norm_out", self._middle("encoder.mid", x)))
        return self._conv("quant_conv", self._conv("encoder.conv_out", x, padding=1), padding=1)

    def picture(self, latent: Tensor) -> Tensor:
        """Return the picture of a quantised latent."""
        x = self._conv("decoder.conv_in", self._conv("post_quant_conv", latent, padding=1), padding=1)
        x = self._middle("decoder.mid", x)
        for level in reversed(range(_LEVELS)):
            for j in range(3):
                x = self._block(f"decoder.up.{level}.block.{j}", x)
                if level == _LEVELS - 1:
                    x = self._attention(f"decoder.up.{level}.attn.{j}", x)
            if level > 0:
                x = self._conv(f"decoder.up.{level}.upsample.conv", F.interpolate(x, scale_factor=2.0), padding=1)
        return self._conv("decoder.conv_out", F.silu(self._norm("decoder.norm_out", x)), padding=1)

    def spread(self, k: int, ids: Tensor) -> Tensor:
        """Return what the ids ``[N, side * side]`` of scale ``k`` add to the latent."""
        side = self.scales[k]
        h = self.w["quantize.embedding.weight"][ids].transpose(1, 2).reshape(len(ids), -1, side, side)
        if side != self.grid:
            h = F.interpolate(h, size=self.grid, mode="bicubic")
        ticks = torch.tensor([1 / 12, 13 / 36, 23 / 36, 11 / 12])
        phi = int((ticks - k / (len(self.scales) - 1)).abs().argmin())
        return 0.5 * h + 0.5 * self._conv(f"quantize.quant_resi.qresi_ls.{phi}", h, padding=1)

    def encode(self, pixels: Tensor) -> Tensor:
        """Return the ids ``[N, L]``."""
        rest, ids = self.latent(pixels), []
        for k, side in enumerate(self.scales):
            pooled = F.interpolate(rest, size=side, mode="area").flatten(2).transpose(1, 2)
            ids.append(torch.cdist(pooled, self.w["quantize.embedding.weight"][None]).argmin(-1))
            rest = rest - self.spread(k, ids[-1])
        return torch.cat(ids, dim=1)

    def running(self, ids: Tensor) -> list[Tensor]:
        """Return the sum of scales ``0..k``, for each ``k``."""
        total, begin, sums = torch.zeros(()), 0, []
        for k, side in enumerate(self.scales):
            total = total + self.spread(k, ids[:, begin : begin + side * side])
            begin += side * side
            sums.append(total)
        return sums

    def inputs(self, ids: Tensor) -> Tensor:
        """Return the inputs ``[N, L - 1, D]`` of the scales after the first."""
        sums = self.running(ids)
        pooled = [F.interpolate(sums[k], size=side, mode="area") for k, side in enumerate(self.scales[1:])]
        return torch.cat([p.flatten(2).transpose(1, 2) for p in pooled], dim=1)
