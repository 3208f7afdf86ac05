#!/usr/bin/env python3
"""Golden data for CLIP: what transformers and Pillow make of random checkpoints.

How to run (Python 3.11, in a virtual environment of its own):

    pip install torch==2.11.0 transformers==5.23.0 pillow numpy
    python tests/golden/clip.py                    # rewrites tests/golden/clip and tests/golden/pictures
    python tests/golden/clip.py --full FOLDER      # full-size ViT-B/32, B/16, L/14, 3 GB, some minutes
    VERIFRAME_PARITY=FOLDER cargo test --test it clip_full_size -- --nocapture

Weights are random with real spread: no bias is 0, no norm is 1. Every checkpoint is read back by
transformers from the very files that veriframe reads. All but the tokens folder comes out the same
each time: training a tokenizer breaks ties at random.
"""

import argparse
import json
import math
import pydoc_data.topics
import random
import shutil
from pathlib import Path

import numpy
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

HERE = Path(__file__).parent
START, END = "<|startoftext|>", "<|endoftext|>"
PROMPTS = [
    "a face with uneven teeth",
    "이가 고르지 않은 얼굴",
    "",
    "a photo of a face 🙂 with mismatched pupil reflections, " * 12,
]
KOREAN_SUBJECTS = ["얼굴", "사람", "고양이", "강아지", "동공", "귀", "치아", "안경을 쓴 남자", "웃는 여자", "만화 얼굴"]
KOREAN_TRAITS = ["어긋난 반사가 있는", "모양이 이상한", "고르지 않은", "밝은", "어두운 배경의", "경계가 보이는", "파란 눈을 가진"]
KOREAN_FRAMES = ["{}의 사진", "{} 그림", "이것은 {}입니다.", "{}이 화면에 보입니다", "합성된 {}일까요?"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", type=Path, help="write full-size checkpoints here instead")
    full = parser.parse_args().full
    if full:
        write_full(full)
        return
    folder = HERE / "clip"
    shutil.rmtree(folder, ignore_errors=True)
    write_tokens(folder)
    write_tiny(folder)
    write_pixels(folder)
    write_pictures(HERE / "pictures")


# Pictures


def picture(width, height, seed=0):
    """Edges, gradients and a little noise."""
    noise = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0:height, 0:width].astype(float)
    red = 127 + 120 * numpy.sin(x / 7 + seed)
    green = 255 * y / height
    blue = 255.0 * (((x // 9) + (y // 6)) % 2)
    disc = (x - width / 2) ** 2 + (y - height / 2) ** 2 < (min(width, height) / 3) ** 2
    pixels = numpy.stack([red, green, numpy.where(disc, 230 - blue / 2, blue)], -1)
    pixels += noise.normal(0, 4, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).round().astype(numpy.uint8))


def write_pictures(folder):
    """One small file of each kind, and the RGB pixels that Pillow reads from it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rgb = picture(45, 31)
    alpha = rgb.copy()
    alpha.putalpha(Image.linear_gradient("L").resize(rgb.size))
    deep = (numpy.asarray(rgb.convert("L")).astype(numpy.uint16) << 8) | 0x37
    rgb.save(folder / "baseline.jpg", quality=92)
    rgb.save(folder / "progressive.jpg", quality=85, progressive=True)
    rgb.save(folder / "full_chroma.jpg", quality=90, subsampling=0)
    rgb.convert("L").save(folder / "grey.jpg", quality=90)
    rgb.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    rgb.save(folder / "rgb.png")
    alpha.save(folder / "alpha.png")
    rgb.convert("L").save(folder / "grey.png")
    rgb.convert("1").save(folder / "bilevel.png")
    rgb.quantize(20).save(folder / "palette.png")
    Image.fromarray(deep).save(folder / "grey16.png")
    rgb.save(folder / "lossy.webp", quality=90)
    rgb.save(folder / "lossless.webp", lossless=True)
    alpha.save(folder / "alpha.webp", lossless=True)
    rgb.save(folder / "rgb.bmp")
    rgb.quantize(32).save(folder / "palette.gif")
    rgb.save(folder / "lzw.tiff", compression="tiff_lzw")
    expected = {}
    for path in sorted(folder.iterdir()):
        image = Image.open(path)
        pixels = numpy.asarray(image.convert("RGB"))
        if path.name == "grey16.png":
            # Pillow clips 16-bit grey at 255, which is no picture.
            pixels = numpy.repeat((deep / 257).round().astype(numpy.uint8)[..., None], 3, -1)
        expected[path.name] = torch.from_numpy(pixels.copy())
    save_file(expected, folder / "expected.safetensors")


def write_pixels(folder):
    """Resized and cropped as CLIP's image processor does it, from several aspect ratios."""
    tensors = {}
    for width, height in [(300, 200), (123, 310), (224, 224), (90, 60), (1000, 40)]:
        image = picture(width, height, seed=width)
        image.save(folder / f"pixels_{width}x{height}.png", optimize=True)
        made = CLIPImageProcessorPil(do_rescale=False, do_normalize=False)(image, return_tensors="np")
        pixels = numpy.moveaxis(made["pixel_values"][0], 0, -1).astype(numpy.uint8)
        tensors[f"{width}x{height}"] = torch.from_numpy(pixels.copy())
    save_file(tensors, folder / "pixels_expected.safetensors")


# Tokens


def korean():
    return [
        frame.format(f"{trait} {subject}")
        for frame in KOREAN_FRAMES
        for trait in KOREAN_TRAITS
        for subject in KOREAN_SUBJECTS
    ]


def clip_tokenizer(merges):
    """A byte-pair tokenizer with the layout of CLIP's own: bytes, bytes that end a word, merges, and
    the two marks last."""
    trained = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    trained.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    words = r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=100_000,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    text = [pydoc_data.topics.topics[name] for name in sorted(pydoc_data.topics.topics)]
    trained.train_from_iterator(text + korean() * 3, trainer)
    pairs = [tuple(pair) for pair in json.loads(trained.to_str())["model"]["merges"][:merges]]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = alphabet + [byte + "</w>" for byte in alphabet] + ["".join(pair) for pair in pairs]
    vocab = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    vocab[START], vocab[END] = len(vocab), len(vocab) + 1
    return CLIPTokenizer(vocab=vocab, merges=pairs, model_max_length=77)


def prompts():
    """200 texts: English, Korean, emoji, long, empty and odd."""
    draw = random.Random(7)
    english = [
        f"{a} {b} with {c}"
        for a in ["a photo of", "A drawing of", "this isn't", "we've seen", "an    image\tof"]
        for b in ["a face", "a man wearing glasses", "the dog's ear", "12 people, 3 cats"]
        for c in ["uneven teeth", "mismatched pupil reflections", "a blending seam!?"]
    ]
    emoji = ["🙂", "👩‍👩‍👧‍👦 family", "a face 😀😀😀 with teeth 🦷", "🇰🇷 한국", "👍🏽", "❤️‍🔥 love", "☃", "🫠🫥"]
    odd = [
        "", " ", "\n\t ", "\u200b", "ＦＵＬＬ ｗｉｄｔｈ", "e\u0301te\u0301 naïve Ünïcödé", "İstanbul ẞ",
        "\u1112\u1161\u11ab\u1100\u1173\u11af", "مرحبا بالعالم", "日本語の顔 写真", "नमस्ते", "x" * 400, "!" * 300,
        "'s't're've'm'll'd", "it'S i'LL", "<|endoftext|>", "a <|startoftext|> b <|endoftext|> c",
        "< |endoftext|>", "\u0000\u0001\ufffd", "½ ² ⅷ 一二 ٣", "a_b__c-d--e", "\ufeffbom", "𝔉𝔞𝔠𝔢 𐍈", "á̂̃̄̅",
    ]
    long = [" ".join(draw.choice(english + korean()) for _ in range(20)) for _ in range(12)]
    letters = "abcXYZ 019.,!?'\"-_éßçñ가나다라마얼굴中あ🙂\t\u0301\u200d"
    noise = ["".join(draw.choice(letters) for _ in range(draw.randint(1, 90))) for _ in range(46)]
    fixed = english + emoji + odd + long + noise
    return fixed + draw.sample(korean(), 200 - len(fixed))


def write_tokens(folder):
    tokenizer = clip_tokenizer(6000)
    (folder / "tokens").mkdir(parents=True)
    tokenizer.backend_tokenizer.save(str(folder / "tokens" / "tokenizer.json"), pretty=False)
    texts = prompts()
    cut = tokenizer(texts, truncation=True, max_length=77)["input_ids"]
    whole = tokenizer(texts)["input_ids"]
    cases = [
        {"text": text, "ids": ids, "tokens_before": len(full)}
        for text, ids, full in zip(texts, cut, whole)
    ]
    assert len(cases) == 200 and sum(len(case["ids"]) < case["tokens_before"] for case in cases) > 10
    (folder / "tokens" / "expected.json").write_text(json.dumps(cases, ensure_ascii=False, indent=0))


# Nets


def spread(model, seed):
    """Weights wide enough that every term shows in the result."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name == "logit_scale":
                parameter.fill_(math.log(100.0))
            elif "norm" in name and name.endswith("weight"):
                parameter.copy_(1 + 0.3 * torch.randn_like(parameter))
            elif parameter.dim() == 1 and "class_embedding" not in name:
                parameter.copy_(0.1 * torch.randn_like(parameter))
            else:
                parameter.mul_(1.5)


def clip_config(tokenizer, text, vision, projection, legacy):
    end = 2 if legacy else tokenizer.eos_token_id
    marks = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": end, "pad_token_id": tokenizer.pad_token_id}
    vocabulary = {"vocab_size": text.pop("vocab_size", len(tokenizer))}
    return CLIPConfig(
        text_config={**text, **marks, **vocabulary}, vision_config=vision, projection_dim=projection
    )


def write_model(folder, tokenizer, config, seed, dtype=torch.float32, shard="50GB"):
    torch.manual_seed(seed)
    model = CLIPModel(config).eval()
    spread(model, seed)
    model.to(dtype).save_pretrained(folder, max_shard_size=shard)
    (folder / "generation_config.json").unlink(missing_ok=True)
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"), pretty=False)


def write_expected(folder, tokenizer, processor, image, to):
    """What transformers makes of the folder, in f32."""
    model = CLIPModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    tokens = tokenizer(PROMPTS, padding=True, truncation=True, max_length=77, return_tensors="pt")
    pixels = processor(image, return_tensors="pt")["pixel_values"]
    plain = processor(image, return_tensors="np", do_rescale=False, do_normalize=False)["pixel_values"][0]
    with torch.no_grad():
        out = model(**tokens, pixel_values=pixels)
    save_file(
        {
            "input_ids": tokens["input_ids"].contiguous(),
            "pixels": torch.from_numpy(numpy.moveaxis(plain, 0, -1).astype(numpy.uint8).copy())[None],
            "pixel_values": pixels.contiguous(),
            "image_embeds": out.image_embeds.contiguous(),
            "text_embeds": out.text_embeds.contiguous(),
            "logits_per_image": out.logits_per_image.contiguous(),
        },
        to,
    )


def edit(path, change):
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data, indent=1))


def write_tiny(folder):
    tokenizer = clip_tokenizer(100)
    image = picture(90, 60)
    image.save(folder / "picture.png", optimize=True)

    def tower(width, heads, layers, act, **more):
        return {
            "hidden_size": width, "intermediate_size": 2 * width, "num_attention_heads": heads,
            "num_hidden_layers": layers, "hidden_act": act, **more,
        }

    # Single f32 file, quick_gelu, the end mark stated, a current preprocessor_config.json.
    here, processor = folder / "f32", CLIPImageProcessorPil(size={"shortest_edge": 24}, crop_size=24)
    text, vision = tower(32, 4, 2, "quick_gelu"), tower(32, 4, 3, "quick_gelu", image_size=24, patch_size=8)
    write_model(here, tokenizer, clip_config(tokenizer, text, vision, 16, legacy=False), 1)
    processor.save_pretrained(here)
    write_expected(here, tokenizer, processor, image, folder / "f32_expected.safetensors")

    # f16, gelu, the legacy end mark, the number form of an old preprocessor_config.json, the
    # position buffers and *_config_dict of old exporters.
    here, processor = folder / "f16", CLIPImageProcessorPil(size={"shortest_edge": 30}, crop_size=28)
    text, vision = tower(24, 3, 2, "gelu"), tower(40, 5, 2, "gelu", image_size=28, patch_size=4)
    write_model(here, tokenizer, clip_config(tokenizer, text, vision, 24, legacy=True), 2, torch.float16)
    weights = load_file(here / "model.safetensors")
    for name, positions in [("text_model", 77), ("vision_model", 50)]:
        weights[f"{name}.embeddings.position_ids"] = torch.arange(positions)[None]
    save_file(weights, here / "model.safetensors", metadata={"format": "pt"})

    def old(config):
        for name in ["text_config", "vision_config"]:
            config[name + "_dict"] = dict(config[name])
            config[name] = {"hidden_size": 7}

    edit(here / "config.json", old)
    (here / "preprocessor_config.json").write_text(
        json.dumps({"size": 30, "crop_size": 28, "feature_extractor_type": "CLIPFeatureExtractor"})
    )
    write_expected(here, tokenizer, processor, image, folder / "f16_expected.safetensors")

    # bf16 in shards, both sides resized without a crop, bilinear; mixed activations.
    here = folder / "shards"
    processor = CLIPImageProcessorPil(size={"height": 70, "width": 70}, do_center_crop=False, resample=2)
    text, vision = tower(24, 2, 1, "quick_gelu"), tower(32, 2, 2, "gelu", image_size=70, patch_size=14)
    config = clip_config(tokenizer, text, vision, 32, legacy=False)
    write_model(here, tokenizer, config, 3, torch.bfloat16, shard="50KB")
    assert len(list(here.glob("*.safetensors"))) > 1
    processor.save_pretrained(here)
    write_expected(here, tokenizer, processor, image, folder / "shards_expected.safetensors")

    # One block a tower, one head, and the recipe where transformers 5 puts it.
    here, processor = folder / "shallow", CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=16)
    text, vision = tower(16, 1, 1, "gelu"), tower(16, 1, 1, "quick_gelu", image_size=16, patch_size=16)
    write_model(here, tokenizer, clip_config(tokenizer, text, vision, 8, legacy=False), 4)
    processor.save_pretrained(here)
    recipe = json.loads((here / "preprocessor_config.json").read_text())
    (here / "preprocessor_config.json").unlink()
    (here / "processor_config.json").write_text(
        json.dumps({"image_processor": recipe, "processor_class": "CLIPProcessor"}, indent=1)
    )
    write_expected(here, tokenizer, processor, image, folder / "shallow_expected.safetensors")


def write_full(folder):
    tokenizer = clip_tokenizer(6000)
    image = picture(640, 427)
    folder.mkdir(parents=True, exist_ok=True)
    image.save(folder / "picture.png")
    base = {"hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8, "num_hidden_layers": 12}
    large = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12}
    huge = {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24}
    sizes = [
        ("vit-b-32", base, {**large, "patch_size": 32}, 512, True),
        ("vit-b-16", base, {**large, "patch_size": 16}, 512, False),
        ("vit-l-14", large, {**huge, "patch_size": 14}, 768, True),
    ]
    for seed, (name, text, vision, projection, legacy) in enumerate(sizes):
        print(name, flush=True)
        here, processor = folder / name, CLIPImageProcessorPil()
        config = clip_config(tokenizer, {**text, "vocab_size": 49408}, vision, projection, legacy)
        write_model(here, tokenizer, config, seed)
        processor.save_pretrained(here)
        write_expected(here, tokenizer, processor, image, folder / f"{name}_expected.safetensors")


main()
