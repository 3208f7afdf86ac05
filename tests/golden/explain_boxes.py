"""Golden box maps of the detector for tests/it/explain_boxes.rs, by pytorch-grad-cam on the
checkpoint and picture of yolo.py. Writes explain_boxes.safetensors. How to run, with torch 2.11,
ultralytics 8.4, safetensors and grad-cam 1.5.7 installed:

    python tests/golden/explain_boxes.py

For each level L (0 to 2) there is L.rect [4] f32 (corners in input pixels), L.at [2] i64 (class,
candidate), and the raw maps L.grad_cam and L.eigen_cam [h, w] f32; `input` is [h, w, 3] u8.
"""

from pathlib import Path

import pytorch_grad_cam as cams
import torch
from safetensors.torch import load_file, save_file
from ultralytics import YOLO

HERE = Path(__file__).parent
LAYERS = (15, 18, 21)


class Logits(torch.nn.Module):
    """The class logits of all candidates, [1, A, C]: what the head says before its sigmoid."""

    def __init__(self, model):
        super().__init__()
        self.model, self.kept = model, {}
        for level, branch in enumerate(model.model[22].cv3):
            branch.register_forward_hook(
                lambda _m, _i, out, level=level: self.kept.__setitem__(level, out))

    def forward(self, pixels):
        self.decoded = self.model(pixels)[0]
        return torch.cat([self.kept[level].flatten(2) for level in range(3)], 2).transpose(1, 2)


def raw_map(kind, logits, level, pixels, target):
    made = kind(model=logits, target_layers=[logits.model.model[LAYERS[level]]])
    made(pixels.clone(), [target])
    tapes = made.activations_and_grads
    grads = tapes.gradients[0].numpy() if tapes.gradients else None
    acts = tapes.activations[0].numpy()
    return torch.from_numpy(made.get_cam_image(pixels, None, [target], acts, grads, False)[0])


def main():
    model = YOLO(str(HERE / "yolo/tiny.pt")).model.float().eval()
    image = load_file(HERE / "yolo/tiny.safetensors")["wide.input"]
    pixels = image.permute(2, 0, 1)[None].float() / 255
    logits = Logits(model)
    with torch.no_grad():
        said = logits(pixels)[0]
    x, y, w, h = logits.decoded[0, :4]
    rects = torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1)
    found, start = dict(input=image), 0
    for level in range(3):
        cells = logits.kept[level][0, 0].numel()
        best = said[start:start + cells].flatten().argmax().item()
        candidate, label = start + best // said.size(1), best % said.size(1)
        target = lambda out, a=candidate, c=label: out[a, c]
        found[f"{level}.rect"] = rects[candidate].detach().clone()
        found[f"{level}.at"] = torch.tensor([label, candidate])
        for name, kind in dict(grad_cam=cams.GradCAM, eigen_cam=cams.EigenCAM).items():
            found[f"{level}.{name}"] = raw_map(kind, logits, level, pixels, target).float()
        start += cells
    save_file({k: t.contiguous() for k, t in found.items()}, HERE / "explain_boxes.safetensors")


if __name__ == "__main__":
    main()
