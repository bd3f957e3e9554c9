"""The published action expert: cached denoising against plain passes over all tokens at once."""

from __future__ import annotations

import math

import pytest
import torch

from f1rl.models.action_expert import ActionExpert, time_features
from f1rl.models.f1 import F1Model
from f1rl.models.joint_attention import joint_attention
from f1rl.models.observed import Observed

CLOSE = {"atol": 1e-5, "rtol": 1e-5}


@pytest.fixture
def expert(make_model) -> ActionExpert:
    torch.manual_seed(2)
    return ActionExpert(make_model().config).eval()


@pytest.fixture
def seen(make_model, random_inputs) -> Observed:
    model = make_model().eval()
    with torch.no_grad():
        return model.observe(random_inputs(model, 3, 1, cameras=1), model.initial_memory(3, "cpu"))[0]


def plain_velocity(expert: ActionExpert, seen: Observed, noisy: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
    """All tokens of the expert in one pass, nothing kept from an earlier step."""
    count, width = len(noisy), expert.state_proj.out_features
    clock = time_features(time, width)[:, None].expand(count, expert.chunk, width)
    joined = expert.action_time_mlp_in(torch.cat([expert.action_in_proj(noisy), clock], -1))
    chunk = expert.action_time_mlp_out(joined * joined.sigmoid())
    tokens = torch.cat([expert.memory_token(seen.recalled)[:, None], expert.state_proj(seen.state)[:, None], chunk], 1)
    prefix = seen.cache[0][0].shape[2]
    mask = torch.ones(tokens.shape[1], prefix + tokens.shape[1], dtype=torch.bool)
    mask[:2, prefix + 2 :] = False  # memory and state do not see the actions
    places = torch.tensor([prefix + 1 + expert.chunk, *range(prefix, prefix + 1 + expert.chunk)])
    (hidden,), _ = joint_attention([expert.expert], [tokens], seen.cache, mask, places)
    return expert.action_out_proj(hidden[:, 2:])


@torch.no_grad()
def test_cached_denoising_equals_passes_over_all_tokens(expert, seen):
    noise = torch.randn(3, expert.chunk, 32)
    actions = noise
    for step in range(expert.steps):
        time = torch.full((3,), 1 - step / expert.steps)
        actions = actions - plain_velocity(expert, seen, actions, time) / expert.steps
    context = expert.context(seen.cache, seen.state, seen.recalled)
    torch.testing.assert_close(expert.denoise(context, noise), actions, **CLOSE)


def test_time_is_told_by_sines_of_rising_periods():
    features = time_features(torch.tensor([0.3]), 6)
    periods = [4e-3, math.sqrt(4e-3 * 4.0), 4.0]
    expected = [f(2 * math.pi * 0.3 / p) for f in (math.sin, math.cos) for p in periods]
    torch.testing.assert_close(features, torch.tensor([expected]), atol=1e-4, rtol=0)


def everything_at_once(
    model: F1Model, expert: ActionExpert, inputs, noisy: torch.Tensor, time: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return ``pooled``, logits and velocity of single steps from *one* pass of all three experts over all tokens."""
    seen, _ = model.observe(inputs, model.initial_memory(len(noisy), "cpu"))  # for the memory, tested by itself
    config, width = model.config, expert.state_proj.out_features
    pixels = inputs.image[:, 0].flatten(0, 1).float() / 127.5 - 1
    images = model.vlm.get_image_features(pixels).pooler_output.unflatten(0, (len(noisy), -1))
    text = model.vlm.language_model.embed_tokens(model.prompt).expand(len(noisy), -1, -1)
    und = torch.cat([images.flatten(1, 2), text], dim=1)
    past = model.frames.history(model.tokenizer, inputs.token_history[:, 0])
    context = torch.cat(
        [
            model.memory_token(seen.recalled)[:, None],
            model.state_token(seen.state)[:, None],
            model.action_token(inputs.action_history[:, 0]),
        ],
        dim=1,
    )
    scales, left = model.frames.next_frame(model.tokenizer.scale_inputs(inputs.target[:, 0]), past, begin=0)
    gen = torch.cat([past.tokens, context, scales + context[:, :1]], dim=1)
    clock = time_features(time, width)[:, None].expand(-1, expert.chunk, -1)
    joined = torch.nn.functional.silu(
        expert.action_time_mlp_in(torch.cat([expert.action_in_proj(noisy), clock], dim=-1))
    )
    act = torch.cat(
        [
            expert.memory_token(seen.recalled)[:, None],
            expert.state_proj(seen.state)[:, None],
            expert.action_time_mlp_out(joined),
        ],
        dim=1,
    )
    sizes = [und.shape[1], past.tokens.shape[1], context.shape[1], scales.shape[1], 2, expert.chunk]
    kind = torch.repeat_interleave(torch.arange(6), torch.tensor(sizes))  # who may see whom, kind by kind:
    allowed = torch.tensor(
        [
            [1, config.und_sees_history, 0, 0, 0, 0],
            [1, 1, 0, 0, 0, 0],
            [1, 1, 1, 0, 0, 0],
            [1, 1, 1, 1, 0, 0],
            [1, 1, 0, 0, 1, 0],
            [1, 1, 0, 0, 1, 1],
        ],
        dtype=torch.bool,
    )
    mask = allowed[kind][:, kind]
    scale = torch.full((len(kind),), -1)
    scale[kind == 3] = model.frames.scale_of
    mask &= ~((kind[:, None] == 3) & (kind[None] == 3) & (scale[None] > scale[:, None]))
    prefix = sizes[0] + sizes[1]
    places = torch.cat(
        [
            torch.arange(prefix),
            prefix + model.suffix_place,
            prefix + torch.tensor([1 + expert.chunk, *range(1 + expert.chunk)]),
        ]
    )
    experts = [model.vlm.language_model, model.gen, expert.expert]
    (und, gen, act), _ = joint_attention(experts, [und, gen, act], [], mask, places)
    logits = model.frames.logits(gen[:, -sizes[3] :], left, model.tokenizer.quantizer.codebook.weight)
    return und.mean(1), logits, expert.action_out_proj(act[:, 2:])


@pytest.mark.parametrize("und_sees_history", [False, True])
@pytest.mark.parametrize("history_side", [2, None])
@torch.no_grad()
def test_prefix_scales_and_actions_equal_one_joint_pass(
    make_model, random_inputs, expert, und_sees_history, history_side
):
    model = make_model(und_sees_history=und_sees_history, gen__history_side=history_side).eval()
    inputs = random_inputs(model, 3, 1)
    noisy, time = torch.randn(3, expert.chunk, 32), torch.rand(3)
    pooled, logits, velocity = everything_at_once(model, expert, inputs, noisy, time)
    seen, _ = model.observe(inputs, model.initial_memory(3, "cpu"))
    torch.testing.assert_close(seen.pooled, pooled, **CLOSE)
    forced = model.next_frame(seen, inputs.action_history[:, 0], inputs.target[:, 0])
    torch.testing.assert_close(forced, logits, **CLOSE)
    context = expert.context(seen.cache, seen.state, seen.recalled)
    torch.testing.assert_close(expert.velocity(context, noisy, time), velocity, **CLOSE)
