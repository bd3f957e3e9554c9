from __future__ import annotations

import pytest
import torch
from transformers.models.gemma.modeling_gemma import GemmaModel

from f1rl.errors import ConfigError
from f1rl.models import joint_attention as module
from f1rl.models.config import AttentionConfig
from f1rl.models.experts import build_expert
from f1rl.models.joint_attention import joint_attention

ATTENTION = AttentionConfig(layers=3, heads=4, kv_heads=2, head_dim=8, rope_theta=10000.0, init_std=0.2)


def experts(*widths: int) -> list[GemmaModel]:
    return [build_expert(ATTENTION, width, 2 * width).eval() for width in widths]


def test_one_expert_alone_is_gemma():
    (expert,) = experts(24)
    tokens = torch.randn(2, 7, 24)
    causal = torch.ones(7, 7, dtype=torch.bool).tril()
    (ours,), _ = joint_attention([expert], [tokens], [], causal)
    theirs = expert(inputs_embeds=tokens).last_hidden_state
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_prefix_and_suffix_equal_one_joint_pass_of_three_experts():
    models = experts(24, 16, 12)
    tokens = [torch.randn(2, 5, 24), torch.randn(2, 3, 16), torch.randn(2, 4, 12)]
    block = torch.tensor([0] * 5 + [1] * 3 + [2] * 4)
    mask = block[None, :] <= block[:, None]
    together, whole = joint_attention(models, tokens, [], mask)

    first, cache = joint_attention(models[:1], tokens[:1], [], None)
    second, cache = joint_attention(models[1:2], tokens[1:2], cache, None)
    third, cache = joint_attention(models[2:], tokens[2:], cache, None)
    for expected, got in zip(together, first + second + third, strict=True):
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
    for (key, value), (k, v) in zip(whole, cache, strict=True):
        torch.testing.assert_close(k, key, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(v, value, atol=1e-5, rtol=1e-5)


def test_a_cache_can_be_continued_twice():
    (expert,) = experts(16)
    _, cache = joint_attention([expert], [torch.randn(1, 3, 16)], [], None)
    tokens = torch.randn(1, 2, 16)
    (first,), _ = joint_attention([expert], [tokens], cache, None)
    (second,), _ = joint_attention([expert], [tokens], cache, None)
    assert torch.equal(first, second)
    assert cache[0][0].shape[2] == 3


@torch.no_grad()
def test_compiled_layers_share_their_graph_and_compute_the_same(monkeypatch):
    """The graphs are captured as for a GPU, but run as they are: generating code would take minutes here."""
    graphs = []

    def backend(graph, example):
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(module, "_compiled", lambda: compiled)
    compiled = torch.compile(module._layer, backend=backend, fullgraph=True)
    (expert,) = experts(16)
    tokens = torch.randn(2, 5, 16)
    (plain,), _ = joint_attention([expert], [tokens], [], None)
    expert.compiled = True
    (ours,), _ = joint_attention([expert], [tokens], [], None)
    assert torch.equal(ours, plain)
    assert len(graphs) == 1  # for three layers


@pytest.mark.filterwarnings("ignore:.*script_method:DeprecationWarning")  # of torch, in torch
def test_without_a_compiler_the_switch_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))  # where nothing is compiled yet
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (None, str(tmp_path / "no-compiler")))
    with pytest.raises(ConfigError, match=r"No working C\+\+ compiler(.|\n)*model\.compile=false"):
        module.require_compiler("cpu")
