"""Golden embeddings at other sides than the net's own, for tests/it/clip.rs: transformers with
interpolate_pos_encoding, on the tiny checkpoint of clip.py (24 px, 8 px patches).

    python tests/golden/finer_grid.py   # torch 2.11, transformers 5; rewrites finer_grid.safetensors
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import CLIPModel

HERE = Path(__file__).parent
# Finer by a whole factor and by a broken one, not square, and coarser.
SIZES = [(48, 48), (40, 40), (32, 56), (16, 16)]


def main():
    folder = HERE / "clip" / "f32"
    model = CLIPModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    torch.manual_seed(4)
    tensors = {}
    for height, width in SIZES:
        pixels = torch.randn(2, 3, height, width)
        with torch.no_grad():
            seen = model.vision_model(pixel_values=pixels, interpolate_pos_encoding=True)
            embedding = model.visual_projection(seen.pooler_output)
        tensors[f"{height}x{width}.pixels"] = pixels
        tensors[f"{height}x{width}.embedding"] = embedding.contiguous()
    save_file(tensors, HERE / "finer_grid.safetensors")


if __name__ == "__main__":
    main()
