"""Published weights, loaded, compute what an evaluation of the files computes that shares no code with the models."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

import published_f1
from f1rl.models.action_expert import ActionExpert
from f1rl.models.f1 import F1Model
from f1rl.models.tokenizer import FrameTokenizer, normalise_images
from f1rl.models.weights.building import fill_action_expert, world_model_from_files
from f1rl.models.weights.export import published_tensors
from f1rl.models.weights.layouts import LAYOUTS
from published_f1 import PREFIX, Tensors, Vqvae, embed_text, joint_pass, siglip

CLOSE = {"atol": 1e-5, "rtol": 1e-5}
B, T = 2, 3


@pytest.fixture(params=["f1", "pi0", "pi0_base"])
def loaded(request, write, config_for, published_values) -> tuple[F1Model, Tensors]:
    """A model, and its tensors under F1's names: those of the file, and what a file of pi0 does not hold."""
    layout = request.param
    path, tensors = write(layout)
    config = config_for(source=str(path), layout=layout)
    tokenizer = None if layout == "f1" else FrameTokenizer(config.tokenizer)
    model, _ = world_model_from_files(config, tokenizer, memory_backprop=True)
    if layout != "f1":
        named, _ = published_tensors(LAYOUTS["f1"], model.state_dict())
        own = {name.replace("model.vae.", "vae."): tensor for name, tensor in named.items()}
        scales = enumerate(config.tokenizer.scales)
        own["model.lvl_1L"] = torch.cat([torch.full((side**2,), k) for k, side in scales])[None]
        tensors = own | published_f1.pi0_tensors(published_values)  # the file's values, whatever its names
    return model.eval(), tensors


@pytest.fixture
def inputs(loaded, random_inputs):
    made = random_inputs(loaded[0], B, T)
    made.is_first[1, 2] = True
    return made


class Step:
    """One step of one stream, from the published tensors and the few that only this project has."""

    def __init__(self, model: F1Model, w: Tensors, inputs, b: int, t: int) -> None:
        self.model, self.w, config = model, w, model.config
        self.heads = config.attention.heads
        vae = Vqvae(w, list(config.tokenizer.scales), "vae.")
        pictures = [siglip(w, image.float() / 127.5 - 1, config.und.vision.heads) for image in inputs.image[b, t]]
        self.und = torch.cat([*pictures, embed_text(w, model.prompt)])

        kernel, bias = w["model.temporal_conv.conv.weight"], w["model.temporal_conv.conv.bias"]
        frames = vae.inputs(inputs.token_history[b, t])  # [n_obs, L - 1, D]
        merged = sum(frames[i] @ kernel[:, :, i].T for i in range(len(frames))) + bias
        merged = merged + w["model.wm_hist_pos_embs"][0]
        cond = torch.cat([w["model.wm_sos_token_embs"][0], self._embed(merged)]) + w["model.wm_cond_pos_embs"][0]
        places = w["model.wm_output_position_embedding"][0] + w["model.lvl_embed.weight"][w["model.lvl_1L"][0]]
        self.past = cond[:-1]
        target = vae.inputs(inputs.target[b, t][None])[0]
        self.scales = torch.cat([cond[-1:], self._embed(target)]) + places
        self.state, self.prev = inputs.state[b, t], inputs.prev_action[b, t]
        self.actions = inputs.action_history[b, t]

    def _embed(self, x: Tensor) -> Tensor:
        return x @ self.w["model.wm_embeddings.weight"].T + self.w["model.wm_embeddings.bias"]

    def pooled(self) -> Tensor:
        """The understanding expert's mean output; it sees the past frames."""
        count = len(self.und) + len(self.past)
        names = [f"{PREFIX}paligemma.language_model.model", f"{PREFIX}gemma_wm_expert.model"]
        mask = torch.ones(count, count, dtype=torch.bool)
        return joint_pass(self.w, names, [self.und, self.past], mask, torch.arange(count), self.heads)[0].mean(0)

    def logits(self, recalled: Tensor) -> Tensor:
        """All scales, in one pass over all tokens."""
        model, prefix, length = self.model, len(self.und) + len(self.past), len(self.scales)
        memory = model.memory_token(recalled)
        context = torch.stack([memory, model.state_token(self.state), *model.action_token(self.actions)])
        gen = torch.cat([self.past, context, self.scales + memory])
        block = torch.cat([torch.zeros(prefix), torch.ones(len(context)), 2 + self.w["model.lvl_1L"][0]])
        mask = block[None] <= block[:, None]
        places = [*range(prefix), *range(prefix + length, prefix + length + len(context))]
        places += range(prefix, prefix + length)
        names = [f"{PREFIX}paligemma.language_model.model", f"{PREFIX}gemma_wm_expert.model"]
        out = joint_pass(self.w, names, [self.und, gen], mask, torch.tensor(places), self.heads)[1][-length:]
        normed = published_f1._layer_norm(self.w, "model.wm_out_layer_norm", out, 1e-5)
        return published_f1._linear(self.w, "model.wm_out_proj", normed)


def remembered(model: F1Model, features: Tensor, state: Tensor) -> Tensor:
    """One step of a GRU, written out; ``state [layers, hidden]``."""
    layers = []
    for k, h in enumerate(state):
        gates = {
            kind: getattr(model.memory.gru, f"weight_{kind}_l{k}") @ x + getattr(model.memory.gru, f"bias_{kind}_l{k}")
            for kind, x in (("ih", features), ("hh", h))
        }
        (ir, iz, new), (hr, hz, hn) = gates["ih"].chunk(3), gates["hh"].chunk(3)
        update = (iz + hz).sigmoid()
        features = (1 - update) * (new + (ir + hr).sigmoid() * hn).tanh() + update * h
        layers.append(features)
    return torch.stack(layers)


@torch.no_grad()
def test_a_window_equals_steps_evaluated_one_by_one_from_the_file(loaded, inputs):
    model, w = loaded
    start = torch.randn_like(model.initial_memory(B, "cpu"))
    output = model(inputs, start)
    for b in range(B):
        state = start[:, b]
        for t in range(T):
            step = Step(model, w, inputs, b, t)
            if inputs.is_first[b, t]:
                state = torch.zeros_like(state)
            state = remembered(model, torch.cat([step.pooled(), step.state, step.prev]), state)
            torch.testing.assert_close(output.logits[b, t], step.logits(state[-1]), **CLOSE)
        torch.testing.assert_close(output.memory[:, b], state, **CLOSE)


@torch.no_grad()
@pytest.mark.parametrize("loaded", ["f1"], indirect=True)
def test_the_action_expert_equals_one_pass_over_all_tokens_of_the_file(loaded, inputs):
    model, w = loaded
    expert = ActionExpert(model.config).eval()
    filled = fill_action_expert(expert, model.config.weights)
    assert filled.matched == len([n for n in w if ".gemma_expert.model." in n]) + 10
    noisy, time = torch.randn(1, expert.chunk, 32), torch.tensor([0.37])
    step = Step(model, w, inputs, 0, 0)
    start = model.initial_memory(B, "cpu")
    seen, _ = model.observe(inputs, start)
    recalled = seen.recalled[:1]
    cache = [(key[:1], value[:1]) for key, value in seen.cache]
    got = expert.velocity(expert.context(cache, seen.state[:1], recalled), noisy, time)

    def linear(name: str, x: Tensor) -> Tensor:
        return x @ w[f"model.{name}.weight"].T + w[f"model.{name}.bias"]

    width = model.config.act.width
    fraction = torch.linspace(0, 1, width // 2, dtype=torch.float64)
    angle = 2 * torch.pi * 0.37 / (4e-3 * 1000**fraction)
    clock = torch.cat([angle.sin(), angle.cos()]).float().expand(expert.chunk, -1)
    joined = linear("action_time_mlp_in", torch.cat([linear("action_in_proj", noisy[0]), clock], 1))
    chunk = linear("action_time_mlp_out", joined * joined.sigmoid())
    act = torch.cat([linear("state_proj", step.state)[None], chunk, expert.memory_token(recalled)])
    prefix, total = len(step.und) + len(step.past), len(step.und) + len(step.past) + len(act)
    mask = torch.ones(total, total, dtype=torch.bool)
    mask[:prefix, prefix:] = False
    mask[[prefix, total - 1], prefix + 1 : total - 1] = False  # state and memory do not see the actions
    names = [f"{PREFIX}{name}.model" for name in ("paligemma.language_model", "gemma_wm_expert", "gemma_expert")]
    out = joint_pass(w, names, [step.und, step.past, act], mask, torch.arange(total), step.heads)[2][1:-1]
    torch.testing.assert_close(got[0], linear("action_out_proj", out), **CLOSE)


@torch.no_grad()
@pytest.mark.parametrize("loaded", ["f1"], indirect=True)
def test_the_tokenizer_equals_vars_autoencoder(loaded):
    """In float64: what fifty convolutions round in float32 is more than what this is to show."""
    model, w = loaded
    images = torch.randint(256, (4, 3, 64, 64), dtype=torch.uint8)
    tokenizer, scales = copy.deepcopy(model.tokenizer).double(), list(model.config.tokenizer.scales)
    reference = Vqvae({name: tensor.double() for name, tensor in w.items()}, scales, "vae.")
    pixels = normalise_images(images, 64).double()
    torch.testing.assert_close(tokenizer._to_latent(pixels), reference.latent(pixels), **CLOSE)
    ids = reference.encode(pixels)
    assert torch.equal(model.tokenizer.encode(images), ids)
    latent = reference.running(ids)[-1]
    torch.testing.assert_close(tokenizer.latent(ids), latent, **CLOSE)
    torch.testing.assert_close(tokenizer._to_pixels(latent), reference.picture(latent), **CLOSE)
