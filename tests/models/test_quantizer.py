from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from vector_quantize_pytorch import HierarchicalVQ

from f1rl.models.quantizer import MultiScaleQuantizer

SCALES, CODES, DIM = (1, 2, 3, 4), 48, 8


@pytest.fixture
def quantizer() -> MultiScaleQuantizer:
    made = MultiScaleQuantizer(SCALES, CODES, DIM, phi_count=4, phi_ratio=0.5, commitment=0.25)
    made.codebook.weight.data.normal_()
    return made.eval()


class _Reference(HierarchicalVQ):
    """The library's quantiser with VAR's up-sampling and choice of convolutions."""

    def choose_phi(self, level_index):
        ticks = torch.tensor([1 / 12, 13 / 36, 23 / 36, 11 / 12])
        return self.phi_levels[int((ticks - level_index / (self.num_levels - 1)).abs().argmin())]

    def upsample_to_full(self, q, full_shape, level_index):
        if q.shape[2:] != full_shape:
            q = F.interpolate(q, size=full_shape, mode="bicubic")
        return self.choose_phi(level_index)(q)


def test_tokens_and_latent_equal_the_library(quantizer):
    reference = _Reference(
        dim=DIM,
        codebook_size=CODES,
        scales=SCALES,
        share_quant_resi=4,
        accept_image_fmap=True,
        kmeans_init=False,
    ).eval()
    reference.vq._codebook.embed.copy_(quantizer.codebook.weight.detach()[None])
    for theirs, ours in zip(reference.phi_levels, quantizer.phi, strict=True):
        theirs.conv.load_state_dict(ours.state_dict())
    latent = torch.randn(16, DIM, 4, 4)
    with torch.no_grad():
        expected, indices, _ = reference(latent)
        tokens = quantizer.encode(latent)
        *_, total = quantizer.partial_latents(tokens)
    assert torch.equal(tokens, torch.cat([i.flatten(1) for i in indices], dim=1))
    torch.testing.assert_close(total, expected, atol=1e-5, rtol=1e-5)


def test_training_pass_gives_the_tokens_of_encode(quantizer):
    latent = torch.randn(6, DIM, 4, 4)
    output = quantizer(latent)
    tokens = quantizer.encode(latent)
    assert torch.equal(output.tokens, tokens)
    *_, total = quantizer.partial_latents(tokens)
    torch.testing.assert_close(output.latent, total)


def test_gradient_goes_straight_through_and_trains_phi(quantizer):
    latent = torch.randn(2, DIM, 4, 4, requires_grad=True)
    output = quantizer(latent)
    weight = torch.randn_like(latent)
    (gradient,) = torch.autograd.grad((output.latent * weight).sum(), latent, retain_graph=True)
    torch.testing.assert_close(gradient, weight)
    output.loss.backward()
    assert all(phi.weight.grad.abs().sum() > 0 for phi in quantizer.phi)
    assert quantizer.codebook.weight.grad is None


def test_only_training_moves_the_codebook_and_dead_codes_come_back():
    quantizer = MultiScaleQuantizer(SCALES, CODES, DIM, phi_count=4, phi_ratio=0.5, commitment=0.25)
    quantizer.codebook.weight.data.fill_(100.0)  # all codes far from everything: one will be used, the rest never
    latent = torch.randn(32, DIM, 4, 4)
    before = quantizer.codebook.weight.clone()
    quantizer.eval()(latent)
    assert torch.equal(quantizer.codebook.weight, before)
    quantizer.train()
    for _ in range(450):
        quantizer(latent)
    assert len(quantizer.eval().encode(latent).unique()) > CODES // 2


def test_the_same_seed_moves_the_codebook_alike():
    def run() -> torch.Tensor:
        torch.manual_seed(3)
        quantizer = MultiScaleQuantizer(SCALES, CODES, DIM, phi_count=4, phi_ratio=0.5, commitment=0.25).train()
        quantizer.start_codebook(torch.randn(64, DIM, 4, 4))
        for _ in range(20):
            quantizer(torch.randn(8, DIM, 4, 4))
        return quantizer.codebook.weight.clone()

    assert torch.equal(run(), run())


def test_a_broken_token_map_is_refused(quantizer):
    with pytest.raises(ValueError, match="4 tokens"):
        list(quantizer.partial_latents(torch.zeros(1, 4, dtype=torch.long)))
