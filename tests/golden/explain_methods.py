"""Golden heatmaps of every method for tests/it/explain_methods.rs.

Class activation maps come from pytorch-grad-cam on the transformers model; the others from their
formulas with plain autograd, written apart from the Rust code. Reads explain_model.safetensors and
explain_expected.safetensors (see explain.py) and writes explain_methods.safetensors. How to run,
with torch 2.11, transformers 5, safetensors, grad-cam 1.5.7, scipy and opencv installed:

    python tests/golden/explain_methods.py
    python tests/golden/explain_methods.py --full FOLDER  # after clip.py --full FOLDER
    VERIFRAME_PARITY=FOLDER cargo test --test it explain_full_size -- --nocapture

With --full, each method as it is on FOLDER/vit-b-16, but score_cam (a forward pass a channel).
"""

import argparse
import math
from pathlib import Path

import numpy as np
import pytorch_grad_cam as cams
import torch
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection
from safetensors.torch import load_file, save_file
from scipy import ndimage
from transformers import CLIPModel

from explain import attention, join, tiny_clip

HERE = Path(__file__).parent
ITEM, GRID, SIDE = 1, 5, 20
CAMS = dict(
    grad_cam=cams.GradCAM, grad_cam_plus_plus=cams.GradCAMPlusPlus, x_grad_cam=cams.XGradCAM,
    layer_cam=cams.LayerCAM, hires_cam=cams.HiResCAM, eigen_cam=cams.EigenCAM,
    eigen_grad_cam=cams.EigenGradCAM, score_cam=cams.ScoreCAM,
)
unit = lambda t: t / t.norm(dim=-1, keepdim=True)


class Embedder(torch.nn.Module):
    """The image tower to unit embeddings: cosines are linear in what it gives."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixels):
        pooled = self.model.vision_model(pixel_values=pixels).pooler_output
        return unit(self.model.visual_projection(pooled))


def to_grid(tokens):
    side = math.isqrt(tokens.size(1) - 1)
    return tokens[:, 1:].reshape(len(tokens), side, side, -1).permute(0, 3, 1, 2)


def cam(model, kind, layers, scale=1.0):
    blocks = model.vision_model.encoder.layers
    target = [blocks[layer].layer_norm1 for layer in layers]
    return CAMS[kind](model=Embedder(model), target_layers=target, reshape_transform=to_grid), scale


def raw_cam(made, pixels, d):
    """The library's map before any scaling, and the gradients behind it."""
    kind, scale = made
    target = [lambda out: scale * (out @ d)]
    kind(pixels.clone(), target)
    tapes = kind.activations_and_grads
    grads = tapes.gradients[0].numpy() if tapes.gradients else None
    acts = tapes.activations[0].numpy()
    made = kind.get_cam_image(pixels, None, target, acts, grads, False)[0]
    return torch.from_numpy(made).flatten().float(), grads


def grad_cam_library(model, pixels, directions):
    """Raw maps of one layer, and whole results: one layer, several, smoothed both ways."""
    found = {}
    run = lambda made, d, **more: torch.from_numpy(
        made[0](pixels.clone(), [lambda out: made[1] * (out @ d)], **more)[0])

    raw = lambda made, d: raw_cam(made, pixels, d)[0]
    each = lambda of: torch.stack([of(d) for d in directions]).float()
    for kind in CAMS:
        for layer in (2, 0):
            found[f"{kind}.{layer}"] = each(lambda d: raw(cam(model, kind, [layer]), d))
        found[f"{kind}.shown"] = each(lambda d: run(cam(model, kind, [2]), d))
        found[f"{kind}.shown_012"] = each(lambda d: run(cam(model, kind, [0, 1, 2]), d))
        if kind not in ("eigen_cam", "eigen_grad_cam"):
            found[f"{kind}.eigen"] = each(
                lambda d: run(cam(model, kind, [2]), d, eigen_smooth=True))
    for kind in ("grad_cam", "hires_cam"):
        found[f"{kind}.augmented"] = each(lambda d: run(cam(model, kind, [2]), d, aug_smooth=True))
    small = cam(model, "grad_cam_plus_plus", [2], scale=1e-6)
    found["grad_cam_plus_plus.small"] = each(lambda d: raw(small, d)).nan_to_num()
    return found


def forward(model, pixels, start=0, x=None):
    """All blocks with q, k, v, a, o in the graph; the unit embedding last."""
    vision, tapes = model.vision_model, []
    if x is None:
        x = vision.pre_layrnorm(vision.embeddings(pixels))[0]
    for block in vision.encoder.layers[start:]:
        q, k, v, a, o = attention(block, x)
        tapes.append(dict(block=block, x=x, y=block.layer_norm1(x), q=q, k=k, v=v, a=a, o=o))
        x = x + block.self_attn.out_proj(join(o))
        x = x + block.mlp(block.layer_norm2(x))
    z = model.visual_projection(vision.post_layernorm(x[0]))
    return tapes, unit(z)


def flow(tapes, image, d, mode, layers):
    """Full N x N products, unlike the row that the server carries."""
    grads = torch.autograd.grad(d @ image, [t["a"] for t in tapes], retain_graph=True)
    eye = torch.eye(tapes[0]["a"].size(-1))
    result = eye.clone()
    for layer in layers:
        weighted = tapes[layer]["a"] * grads[layer]
        if mode == "game":
            result = result + weighted.clamp(min=0).mean(0) @ result
        else:
            step = weighted.mean(0).clamp(min=0) + eye
            result = step / step.sum(-1, keepdim=True) @ result
    return result[0, 1:].detach(), [g.detach() for g in grads]


def rollout(tapes, layers):
    eye = torch.eye(tapes[0]["a"].size(-1))
    result = eye
    for layer in layers:
        step = tapes[layer]["a"].mean(0) + eye
        result = step / step.sum(-1, keepdim=True) @ result
    return result[0, 1:].detach()


def vit_explain(fused_blocks, discard=0.9):
    """The published variant: see src/explain/rollout_variant.rs for its quirks."""
    result = torch.eye(fused_blocks[0].size(-1))
    for fused in fused_blocks:
        fused = fused[None].clone()
        flat = fused.view(1, -1)
        _, indices = flat.topk(int(flat.size(-1) * discard), -1, False)
        indices = indices[indices != 0]
        flat[0, indices] = 0
        a = (fused + torch.eye(fused.size(-1))) / 2
        a = a / a.sum(dim=-1)
        result = torch.matmul(a, result)
    mask = result[0, 0, 1:]
    return mask / mask.max()


def legrad(model, tapes, d, layers):
    total = 0
    for layer in layers:
        tape = tapes[layer]
        block, x = tape["block"], tape["x"].detach()
        _, _, v, a, _ = attention(block, x)
        a = a.detach().requires_grad_()
        x = x + block.self_attn.out_proj(join(a @ v))
        x = x + block.mlp(block.layer_norm2(x))
        feature = model.visual_projection(model.vision_model.post_layernorm(x.mean(0)))
        (grad,) = torch.autograd.grad(d @ unit(feature), a)
        total = total + grad.clamp(min=0).mean((0, 1))[1:]
    return total.detach()


def legrad_shown(model, tapes, d, layers):
    large = 0
    for layer in layers:
        grid = legrad(model, tapes, d, [layer]).view(1, 1, GRID, GRID)
        large = large + torch.nn.functional.interpolate(grid, scale_factor=4, mode="bilinear")
    large = large[0, 0]
    return (large - large.min()) / (large.max() - large.min())


def single_head(model, tape, d, projected):
    """Grad-ECLIP with the last block run as if it had one head."""
    block, x = tape["block"], tape["x"].detach()
    y, attn = block.layer_norm1(x), block.self_attn
    q, k, v = attn.q_proj(y), attn.k_proj(y), attn.v_proj(y)
    o = ((q @ k.T / math.sqrt(q.size(-1))).softmax(-1) @ v).detach().requires_grad_()
    x = x + attn.out_proj(o)
    x = x + block.mlp(block.layer_norm2(x))
    z = model.visual_projection(model.vision_model.post_layernorm(x[0]))
    (grad,) = torch.autograd.grad(d @ unit(z), o)
    if projected:
        q, k = attn.out_proj(q), attn.out_proj(k)
    cos = torch.cosine_similarity(q[:1], k[1:])
    w = (cos - cos.min()) / (cos.max() - cos.min())
    return (w * (v[1:] @ grad[0])).detach()


def head_effects(model, tapes, d, image_raw, x_last):
    """[L, H, n]: each head's own share, from its written-out contribution to the residual."""
    norm = model.vision_model.post_layernorm
    sigma = (x_last.var(unbiased=False) + norm.eps).sqrt()
    rows = []
    for tape in tapes:
        weight = tape["block"].self_attn.out_proj.weight
        heads, _, width = tape["v"].shape
        for h in range(heads):
            moved = tape["v"][h] @ weight[:, h * width:(h + 1) * width].T
            moved = tape["a"][h, 0][:, None] * moved
            moved = (moved - moved.mean(-1, keepdim=True)) / sigma * norm.weight
            rows.append(model.visual_projection(moved) @ d / image_raw.norm())
    rows = torch.stack(rows)
    return rows.view(len(tapes), -1, rows.size(-1))[:, :, 1:].detach()


def patch_features(model, x):
    return unit(model.visual_projection(model.vision_model.post_layernorm(x)))[1:]


def gaussian(sigma, tokens):
    side = math.isqrt(tokens - 1)
    places = [(i, j) for i in range(side) for j in range(side)]
    near = torch.zeros(tokens, tokens)
    for a, (i, j) in enumerate(places):
        for b, (k, l) in enumerate(places):
            near[a + 1, b + 1] = math.exp(-((i - k) ** 2 + (j - l) ** 2) / (2 * sigma ** 2))
    return near


def exits(model, tape):
    block, q, k, v, d = tape["block"], tape["q"], tape["k"], tape["v"], tape["q"].size(-1)
    soft = lambda t, more=0: (t @ t.transpose(1, 2) / math.sqrt(d) + more).softmax(-1)
    out = lambda o: block.self_attn.out_proj(join(o))
    whole = tape["x"] + out((soft(q) + soft(k)) @ v)
    whole = whole + block.mlp(block.layer_norm2(whole))
    made = dict(
        mask_clip=out(v), clear_clip=out(soft(q) @ v), sclip=whole,
        naclip=out(soft(k, gaussian(5.0, q.size(1))) @ v),
    )
    return {name: patch_features(model, x).detach() for name, x in made.items()}


def dual(model, tapes, first, kind):
    x = tapes[first]["x"]
    for tape in tapes[first:]:
        q, k, v, d = tape["q"], tape["k"], tape["v"], tape["q"].size(-1)
        if kind == "clip_surgery":
            o = (v @ v.transpose(1, 2) / math.sqrt(d)).softmax(-1) @ v
        else:
            tau = tape["y"].norm(dim=-1).mean() / math.sqrt(d)
            outs = []
            for t in (q, k, v):
                t = unit(t)
                t = unit((tau * t @ t.transpose(1, 2)).softmax(-1) @ t)
                outs.append((tau * t @ t.transpose(1, 2)).softmax(-1) @ v)
            o = sum(outs) / 3
        x = x + tape["block"].self_attn.out_proj(join(o))
    return patch_features(model, x).detach()


def surgery_similarity(features, image, texts):
    prob = ((image[None] @ texts.T) * 2).softmax(-1)
    w = prob / prob.mean(-1, keepdim=True)
    feats = features[:, None] * texts[None] * w.T[None]
    feats = feats - feats.mean(1, keepdim=True)
    return feats.sum(-1).T


def refined(tapes, cam_map):
    cam_map = cam_map.clamp(min=0)
    cam_map = (cam_map - cam_map.min()) / (cam_map.max() - cam_map.min() + 1e-7)
    shares = torch.stack([t["a"] for t in tapes[-8:]]).mean((0, 1))[1:, 1:].detach()
    for _ in range(3):
        shares = shares / shares.sum(0, keepdim=True)
        shares = shares / shares.sum(1, keepdim=True)
    shares = (shares + shares.T) / 2
    shares = shares @ shares
    hot = (cam_map.view(GRID, GRID) > 0.4 * cam_map.max()).numpy()
    labels, _ = ndimage.label(hot, structure=np.ones((3, 3)))
    mask = torch.zeros(GRID, GRID)
    for rows, columns in ndimage.find_objects(labels):
        mask[rows, columns] = 1
    return (shares * mask.view(1, -1)) @ cam_map


def ranks(row):
    order = [sum(1.0 for b in row if b < a) + 0.5 * sum(1.0 for b in row if b == a) - 0.5
             for a in row.tolist()]
    return torch.tensor(order) / (len(order) - 1)


def by_formula(model, pixels, directions):
    tapes, image = forward(model, pixels)
    each = lambda of: torch.stack([of(d) for d in directions]).detach()
    last, every = [2], [0, 1, 2]
    found = {
        "game.2": each(lambda d: flow(tapes, image, d, "game", last)[0]),
        "game.012": each(lambda d: flow(tapes, image, d, "game", every)[0]),
        "grad_rollout": each(lambda d: flow(tapes, image, d, "grad_rollout", every)[0]),
        "rollout": rollout(tapes, every),
        "legrad": each(lambda d: legrad(model, tapes, d, every)),
        "legrad.2": each(lambda d: legrad(model, tapes, d, last)),
        "legrad.shown": each(lambda d: legrad_shown(model, tapes, d, every)),
        "single_head_raw": each(lambda d: single_head(model, tapes[2], d, False)),
        "single_head_proj": each(lambda d: single_head(model, tapes[2], d, True)),
    }
    _, grads = flow(tapes, image, directions[0], "game", every)
    blocks = [t["a"].detach() for t in tapes]
    for mode, fuse in dict(mean=lambda a: a.mean(0), max=lambda a: a.amax(0),
                           min=lambda a: a.amin(0)).items():
        found[f"vit_rollout.{mode}"] = vit_explain([fuse(a) for a in blocks])
    weighted = [(a * g).mean(0).clamp(min=0) for a, g in zip(blocks, reversed(grads))]
    found["vit_grad_rollout"] = vit_explain(weighted)
    with torch.no_grad():
        vision = model.vision_model
        x_last = vision.encoder(vision.pre_layrnorm(vision.embeddings(pixels)))[0][0, 0]
        z = model.visual_projection(vision.post_layernorm(x_last))
        found["head_effects"] = torch.stack(
            [head_effects(model, tapes, d, z, x_last) for d in directions], 2)
        for name, features in exits(model, tapes[2]).items():
            found[name] = directions @ features.T
        for kind in ("clip_surgery", "gem"):
            found[kind] = directions @ dual(model, tapes, 1, kind).T
        features = dual(model, tapes, 1, "clip_surgery")
        found["surgery_features"] = features
        found["surgery_similarity"] = surgery_similarity(features, image, unit(directions))
    found["game.refined"] = torch.stack([refined(tapes, row) for row in found["game.2"]])
    return found


def full(folder):
    """Each method as it is on a ViT-B/16, but score_cam."""
    model = CLIPModel.from_pretrained(folder / "vit-b-16").eval().float()
    torch.manual_seed(5)
    pixels, directions = torch.randn(1, 3, 224, 224), unit(torch.randn(2, 512))
    tapes, image = forward(model, pixels)
    each = lambda of: torch.stack([of(d) for d in directions]).detach()
    every, last, late = list(range(12)), [11], 6
    found = {}
    for kind in CAMS.keys() - {"score_cam", "grad_cam_plus_plus"}:
        def raw(d):
            return raw_cam(cam(model, kind, last), pixels, d)[0]
        found[kind] = each(raw)
    found |= plus_plus(model, pixels, directions[0], last)
    found |= {
        "game": each(lambda d: flow(tapes, image, d, "game", last)[0]),
        "grad_rollout": each(lambda d: flow(tapes, image, d, "grad_rollout", every)[0]),
        "rollout": rollout(tapes, every).expand(2, -1),
        "legrad": each(lambda d: legrad(model, tapes, d, every[-4:])),
        "grad_eclip": each(lambda d: grad_eclip(model, tapes[-1], d)),
    }
    with torch.no_grad():
        vision = model.vision_model
        x_last = vision.encoder(vision.pre_layrnorm(vision.embeddings(pixels)))[0][0, 0]
        z = model.visual_projection(vision.post_layernorm(x_last))
        found["direct_effect"] = each(
            lambda d: head_effects(model, tapes, d, z, x_last).sum((0, 1)))
        found |= {name: directions @ f.T for name, f in exits(model, tapes[-1]).items()}
        found |= {k: directions @ dual(model, tapes, late, k).T for k in ("clip_surgery", "gem")}
    members = [found["grad_eclip"], found["legrad"], found["naclip"]]
    found["ensemble"] = torch.stack(
        [torch.stack([ranks(row) for row in rows]) for rows in members]).mean(0)
    found |= dict(pixels=pixels, directions=directions)
    found = {name: t.detach().float().contiguous() for name, t in found.items()}
    save_file(found, folder / "explain_methods.safetensors")


def plus_plus(model, pixels, d, layers):
    """Grad-CAM++ in f64 on what the library found in f32: its quotients have poles on signed
    activations, which enlarge the rounding of f32 to a tenth of the map."""
    made, _ = cam(model, "grad_cam_plus_plus", layers)
    made(pixels.clone(), [lambda out: out @ d])
    tapes = made.activations_and_grads
    acts, grads = tapes.activations[0].numpy(), tapes.gradients[0].numpy()
    grads = grads / np.abs(grads).max()
    exact = made.get_cam_image(pixels, None, None, acts.astype("f8"), grads.astype("f8"), False)
    rows = lambda t: torch.from_numpy(t[0]).flatten(1).T
    return dict(plus_plus=torch.from_numpy(exact[0]).flatten(), plus_plus_values=rows(acts),
                plus_plus_gradients=rows(grads))


def grad_eclip(model, tape, d):
    """Multi-head: the last block again as a function of its attention's output."""
    block, x, o = tape["block"], tape["x"].detach(), tape["o"].detach().requires_grad_()
    x = x + block.self_attn.out_proj(join(o))
    x = x + block.mlp(block.layer_norm2(x))
    z = model.visual_projection(model.vision_model.post_layernorm(x[0]))
    (grad,) = torch.autograd.grad(d @ unit(z), o)
    cos = torch.cosine_similarity(join(tape["q"])[:1], join(tape["k"])[1:])
    w = (cos - cos.min()) / (cos.max() - cos.min())
    return w * torch.einsum("hd,hjd->j", grad[:, 0], tape["v"][:, 1:])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", type=Path)
    # make parity gives every script pictures.
    options, _ = parser.parse_known_args()
    if options.full:
        full(options.full)
    else:
        tiny()


def tiny():
    model = tiny_clip()
    model.load_state_dict(load_file(HERE / "explain_model.safetensors"))
    given = load_file(HERE / "explain_expected.safetensors")
    pixels = given["pixels"][ITEM:ITEM + 1]
    directions = given["directions"][ITEM]
    assert torch.allclose(forward(model, pixels)[1], given["images"][ITEM], atol=1e-5)
    found = grad_cam_library(model, pixels, directions) | by_formula(model, pixels, directions)
    members = [given["grad_eclip"][ITEM], found["legrad"], found["naclip"]]
    found["ensemble"] = torch.stack(
        [torch.stack([ranks(row) for row in rows]) for rows in members]).mean(0)
    # The library's own projection, for its sign and scale on plain numbers.
    channels = torch.randn(2, 6, 3, 3, generator=torch.Generator().manual_seed(1))
    found["projection.channels"] = channels
    found["projection"] = torch.from_numpy(get_2d_projection(channels.numpy()))
    found = {name: t.float().contiguous() for name, t in found.items()}
    assert all(t.isfinite().all() for t in found.values())
    save_file(found, HERE / "explain_methods.safetensors")


if __name__ == "__main__":
    main()
