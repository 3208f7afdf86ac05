"""Golden files of the YOLOv8 tests: checkpoints that ultralytics itself wrote, and what it finds.

How to run (ultralytics 8.4, torch 2.11, safetensors, Pillow; needs no download):

    python tests/golden/yolo.py                     # rewrites tests/golden/yolo/, tiny net, 3 pictures
    python tests/golden/yolo.py --full FOLDER PNG…  # yolov8n and yolov8s over the pictures given
    VERIFRAME_PARITY=FOLDER cargo test --test it yolo_full_size -- --nocapture

Weights are random but lively: batch norms are calibrated on the pictures and then jittered, and the
class biases are set so that the pictures hold dozens of detections.

For each net NAME there is NAME.pt and NAME.safetensors, holding for each picture PIC:
PIC.input [h, w, 3] u8 (letterboxed, RGB), PIC.raw.N (every STEP-th value of head level N, row-major
f32), PIC.rect and PIC.square [K, 6] f32 (x1, y1, x2, y2 in picture pixels, confidence, class).
"""

import argparse
import pathlib
import tempfile
import zipfile

import numpy as np
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file
from ultralytics import YOLO

CONFIDENCE, IOU = 0.25, 0.45
# Detections nearer to a threshold than this could fall to either side of it.
MARGIN = 0.002
TINY_NAMES = ["face", "eye", "ear", "nose", "mouth", "glasses"]


def tiny_yaml(folder):
    """The layer list of YOLOv8 with 8 to 16 channels."""
    conv, c2f = (lambda c: [-1, 1, "Conv", [c, 3, 2]]), (lambda n, *a: [-1, n, "C2f", list(a)])
    up, join = [-1, 1, "nn.Upsample", [None, 2, "nearest"]], (lambda f: [[-1, f], 1, "Concat", [1]])
    text = {
        "nc": len(TINY_NAMES),
        "depth_multiple": 0.33,
        "width_multiple": 0.0625,
        "max_channels": 256,
        "scales": {"n": [0.33, 0.0625, 256]},
        "backbone": [conv(64), conv(128), c2f(3, 128, True), conv(256), c2f(6, 256, True),
                     conv(512), c2f(6, 512, True), conv(1024), c2f(3, 1024, True),
                     [-1, 1, "SPPF", [1024, 5]]],
        "head": [up, join(6), c2f(3, 512), up, join(4), c2f(3, 256), conv(256), join(12),
                 c2f(3, 512), conv(512), join(9), c2f(3, 1024), [[15, 18, 21], 1, "Detect", ["nc"]]],
    }
    path = pathlib.Path(folder) / "yolov8n-tiny.yaml"
    path.write_text(yaml.safe_dump(text))
    return path


def procedural(width, height, seed):
    """Waves, discs and blocks; nothing is anyone's photograph."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    picture = np.empty((height, width, 3), np.float32)
    for c in range(3):
        fx, fy, phase = rng.uniform(0.01, 0.12, 2).tolist() + [rng.uniform(0, 6)]
        picture[..., c] = 128 + 70 * np.sin(fx * x + phase) * np.cos(fy * y)
    for _ in range(14):
        cx, cy, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(5, 45)
        disc = (x - cx) ** 2 + (y - cy) ** 2 < r * r
        block = (abs(x - cx) < r) & (abs(y - cy) < r * 0.6)
        picture[disc if rng.random() < 0.5 else block] = rng.uniform(0, 255, 3)
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


def letterboxed(picture, side, rect):
    """The input that ultralytics makes of a picture, RGB."""
    from ultralytics.data.augment import LetterBox

    box = LetterBox((side, side), auto=rect, stride=32)
    return np.ascontiguousarray(box(image=np.asarray(picture)[..., ::-1])[..., ::-1])


def as_input(array):
    return torch.from_numpy(array).permute(2, 0, 1)[None].float() / 255


def enliven(model, pictures, side, busy):
    """Random weights that see something in some `busy` share of the cells."""
    inputs = [as_input(letterboxed(picture, side, True)) for picture in pictures]
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.weight.data.uniform_(0.9, 1.8)
        norm.bias.data.normal_(0, 0.4)
        norm.reset_running_stats()
        norm.momentum = None
    model.train()
    with torch.no_grad():
        for image in inputs:
            model(image)
        for norm in norms:
            norm.momentum = 0.03
            norm.running_mean.add_(norm.running_var.sqrt() * torch.randn_like(norm.running_mean) * 0.1)
            norm.running_var.mul_(torch.empty_like(norm.running_var).uniform_(0.8, 1.25))
        head = model.model[22]
        for sides, classes in zip(head.cv2, head.cv3):
            sides[2].weight.mul_(6)
            classes[2].weight.mul_(4)
        model.eval()
        for level in range(3):
            logits = torch.cat([raw(model, image)[level][0, 64:].flatten(1) for image in inputs], 1)
            cut = logits.quantile(1 - busy / len(logits), dim=1)
            head.cv3[level][2].bias.sub_(cut)


def raw(model, image):
    """What the head's branches say at each level, [B, 64 + C, h, w]."""
    kept, head = {}, model.model[22]
    hooks = [branch[i].register_forward_hook(lambda _m, _i, out, key=(name, i): kept.__setitem__(key, out))
             for name, branch in (("sides", head.cv2), ("classes", head.cv3)) for i in range(3)]
    with torch.no_grad():
        model.eval()(image)
    for hook in hooks:
        hook.remove()
    return [torch.cat([kept["sides", i], kept["classes", i]], 1) for i in range(3)]


def found(path, picture, side, rect):
    """What ultralytics' predict finds, by its own letterbox and suppression."""
    array = np.ascontiguousarray(np.asarray(picture)[..., ::-1])
    result = YOLO(path).predict(array, imgsz=side, conf=CONFIDENCE, iou=IOU, rect=rect, max_det=300,
                                verbose=False, device="cpu")[0].boxes
    return torch.cat([result.xyxy, result.conf[:, None], result.cls[:, None]], 1).contiguous()


def write(out, name, model, pictures, side, step, seed, busy):
    torch.manual_seed(seed)
    enliven(model.model, list(pictures.values()), side, busy)
    path = out / f"{name}.pt"
    model.save(path)
    # Saved weights are f16; what is expected is said by the saved ones.
    saved = YOLO(path).model.float()
    tensors = {}
    for pic, picture in pictures.items():
        letter = letterboxed(picture, side, True)
        levels = raw(saved, as_input(letter))
        tensors[f"{pic}.input"] = torch.from_numpy(letter)
        scores = torch.cat([level[0, 64:].flatten(1) for level in levels], 1).sigmoid().amax(0)
        near = ((scores - CONFIDENCE).abs() < MARGIN).sum().item()
        for i, level in enumerate(levels):
            tensors[f"{pic}.raw.{i}"] = level.flatten()[::step].contiguous()
        tensors[f"{pic}.rect"] = found(path, picture, side, True)
        tensors[f"{pic}.square"] = found(path, picture, side, False)
        print(f"{name} {pic} {picture.size} -> {letter.shape[1::-1]}: {(scores > CONFIDENCE).sum()} "
              f"candidates ({near} near the threshold), {len(tensors[f'{pic}.rect'])} boxes kept, "
              f"{len(tensors[f'{pic}.square'])} of the square input")
    save_file(tensors, out / f"{name}.safetensors", {"imgsz": str(side), "step": str(step)})


def slim(path):
    """Deflates the pickle of a .pt, which is otherwise kept as torch wrote it."""
    with zipfile.ZipFile(path) as archive:
        entries = [(info, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for info, content in entries:
            packed = info.filename.endswith("data.pkl")
            # A date in the archive would change the file with every run.
            entry = zipfile.ZipInfo(info.filename)
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("pictures", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    if options.full:
        options.full.mkdir(parents=True, exist_ok=True)
        pictures = {p.stem: Image.open(p).convert("RGB") for p in options.pictures}
        for pic, picture in pictures.items():
            picture.save(options.full / f"{pic}.png")
        for name in ("yolov8n", "yolov8s"):
            write(options.full, name, YOLO(f"{name}.yaml"), pictures, 640, 1, options.seed, 0.03)
        return
    out = pathlib.Path(__file__).parent / "yolo"
    out.mkdir(exist_ok=True)
    sizes = {"wide": (250, 141), "tall": (90, 200), "small": (61, 53)}
    pictures = {pic: procedural(*size, i + 20) for i, (pic, size) in enumerate(sizes.items())}
    for pic, picture in pictures.items():
        picture.save(out / f"{pic}.png", optimize=True)
    with tempfile.TemporaryDirectory() as folder:
        model = YOLO(tiny_yaml(folder))
    model.model.names = dict(enumerate(TINY_NAMES))
    write(out, "tiny", model, pictures, 96, 11, options.seed, 0.12)
    slim(out / "tiny.pt")


if __name__ == "__main__":
    main()
