"""Golden heatmaps for tests/it/explain.rs, from transformers and plain autograd.

Writes explain_model.safetensors (a tiny random CLIP) and explain_expected.safetensors (its inputs
and the maps that the formulas give on it). How to run, with torch 2.11, transformers 5 and
safetensors installed:

    python tests/golden/explain.py
"""

import math
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPModel

HERE = Path(__file__).parent
PROMPTS, NULLS, BATCH = 3, 4, 2


def tiny_clip():
    """L=3, H=2, a 5x5 grid; every weight and bias drawn with real spread."""
    config = CLIPConfig(
        text_config=dict(
            vocab_size=16, hidden_size=8, intermediate_size=16, num_hidden_layers=1,
            num_attention_heads=2, max_position_embeddings=8, eos_token_id=15, bos_token_id=14,
        ),
        vision_config=dict(
            hidden_size=16, intermediate_size=32, num_hidden_layers=3, num_attention_heads=2,
            image_size=20, patch_size=4,
        ),
        projection_dim=12,
    )
    model = CLIPModel(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            spread = 0.3 if weight.dim() > 1 else 0.2
            base = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            weight.copy_(base + spread * torch.randn_like(weight))
        model.logit_scale.fill_(math.log(100.0))
    return model


def attention(block, x):
    """q, k, v, A and o = A v of one block, each with its heads apart: [H, N, .]."""
    attn, y = block.self_attn, block.layer_norm1(x)
    heads, d = attn.num_heads, attn.head_dim
    split = lambda t: t.view(-1, heads, d).transpose(0, 1)
    q, k, v = (split(proj(y)) for proj in (attn.q_proj, attn.k_proj, attn.v_proj))
    a = (q @ k.transpose(1, 2) / math.sqrt(d)).softmax(-1)
    return q, k, v, a, a @ v


def join(o):
    return o.transpose(0, 1).flatten(1)


def tower(model, pixels):
    """One image through the tower by the formulas; the last block's o carries a gradient."""
    vision = model.vision_model
    x = vision.pre_layrnorm(vision.embeddings(pixels[None]))[0]
    tapes, embedded = [], x[0]
    blocks = vision.encoder.layers
    for block in blocks:
        q, k, v, a, o = attention(block, x)
        if block is blocks[-1]:
            o = o.detach().requires_grad_()
        x = x + block.self_attn.out_proj(join(o))
        mlp = block.mlp(block.layer_norm2(x))
        x = x + mlp
        tapes.append(dict(block=block, q=q, k=k, v=v, a=a, o=o, mlp=mlp[0]))
    z = model.visual_projection(vision.post_layernorm(x[0]))
    return tapes, embedded, x[0], z


def grad_eclip(tape, score):
    (gradient,) = torch.autograd.grad(score, tape["o"], retain_graph=True)
    assert gradient[:, 1:].abs().max() == 0, "only the class token reaches the head"
    cos = torch.cosine_similarity(join(tape["q"])[:1], join(tape["k"])[1:])
    w = (cos - cos.min()) / (cos.max() - cos.min())
    return w * torch.einsum("hd,hjd->j", gradient[:, 0], tape["v"][:, 1:])


def direct_effect(model, tapes, x, z, t):
    norm = model.vision_model.post_layernorm
    sigma = (x.var(unbiased=False) + norm.eps).sqrt()
    pulled = norm.weight * (model.visual_projection.weight.T @ t)
    u = (pulled - pulled.mean()) / (sigma * z.norm())
    total = 0
    for tape in tapes:
        weight = tape["block"].self_attn.out_proj.weight
        heads, _, d = tape["v"].shape
        for h in range(heads):
            pulled_back = weight[:, h * d:(h + 1) * d].T @ u
            total = total + tape["a"][h, 0] * (tape["v"][h] @ pulled_back)
    return total[1:]


def contrasted(text, nulls, image):
    weights = (100 * nulls @ image).softmax(0)
    return text - weights @ nulls


def main():
    torch.manual_seed(7)
    model = tiny_clip()
    unit = lambda t: t / t.norm(dim=-1, keepdim=True)
    pixels = torch.randn(BATCH, 3, 20, 20)
    texts, nulls = unit(torch.randn(PROMPTS, 12)), unit(torch.randn(NULLS, 12))
    with torch.no_grad():
        pooled = model.vision_model(pixel_values=pixels).pooler_output
        reference = unit(model.visual_projection(pooled))
    maps = dict(directions=[], grad_eclip=[], direct_effect=[], margins=[])
    for item in range(BATCH):
        tapes, _, x, z = tower(model, pixels[item])
        image = unit(z)
        assert torch.allclose(image, reference[item], atol=1e-5)
        directions = torch.stack([contrasted(t, nulls, image.detach()) for t in texts])
        maps["directions"].append(directions)
        maps["margins"].append((directions @ image).detach())
        maps["grad_eclip"].append(
            torch.stack([grad_eclip(tapes[-1], t @ image) for t in directions]).detach())
        maps["direct_effect"].append(torch.stack(
            [direct_effect(model, tapes, x, z, t) for t in directions]).detach())
    expected = {name: torch.stack(rows).contiguous() for name, rows in maps.items()}
    expected |= dict(pixels=pixels, texts=texts, nulls=nulls, images=reference)
    weights = {name: t.contiguous() for name, t in model.state_dict().items()}
    save_file(weights, HERE / "explain_model.safetensors")
    save_file(expected, HERE / "explain_expected.safetensors")


if __name__ == "__main__":
    main()
