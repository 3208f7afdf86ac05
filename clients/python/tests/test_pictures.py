"""Calls about one picture."""

from __future__ import annotations

import io

import numpy as np
import pytest
from conftest import FACE, TEETH, Either
from PIL import Image

from veriframe import (
    Bgr,
    Box,
    BoxHeatmaps,
    Detect,
    Heatmaps,
    InvalidArgument,
    Regions,
    Zoom,
)


def test_everything_about_a_picture(client: Either) -> None:
    answer = client.call(
        lambda c: c.verify(FACE, prompts=TEETH, detect=True, regions=True, heatmaps=True)
    )
    assert [score.prompt for score in answer.scores] == TEETH
    assert answer.best.prompt == "uneven teeth"
    assert sum(score.softmax for score in answer.scores) == pytest.approx(1)
    assert 0 <= answer.best.confidence <= 1
    assert answer.calibration.name.startswith("prompts-")
    assert "face" in {box.label for box in answer.detections}
    assert len(answer.regions) == len(answer.detections)
    assert [region.scores[0].prompt for region in answer.regions] == ["uneven teeth"] * 7
    assert [heatmap.prompt for heatmap in answer.heatmaps] == TEETH
    assert answer.frame_size == Image.open(FACE).size
    assert answer.timing.total > 0
    assert (answer.model.name, answer.detector.name) == ("clip", "yolo")
    assert answer.raw.similarity.scores[0].prompt == "uneven teeth"


def test_nothing_that_was_not_asked(client: Either) -> None:
    answer = client.call(lambda c: c.verify(FACE, prompts=TEETH))
    assert answer.detections == answer.regions == answer.heatmaps == ()
    assert not answer.raw.HasField("detection")


def test_every_kind_of_picture_scores_alike(client: Either) -> None:
    pillow = Image.open(FACE)
    rgb = np.asarray(pillow)
    # What a JPEG's own pixels are, a decoder may round otherwise: so all are told as PNG would be.
    png = io.BytesIO()
    pillow.save(png, "png")
    kinds = [
        png.getvalue(),
        memoryview(png.getvalue()),
        pillow,
        rgb,
        np.asfortranarray(rgb),
        Bgr(rgb[..., ::-1]),
        np.repeat(rgb, 2, axis=1)[:, ::2],
    ]
    scores = [
        client.call(lambda c, kind=kind: c.verify(kind, prompts=TEETH)).best.cosine
        for kind in kinds
    ]
    assert scores == pytest.approx([scores[0]] * len(kinds), abs=1e-6)
    by_path = [client.call(lambda c, p=p: c.verify(p, prompts=TEETH)) for p in (FACE, str(FACE))]
    assert by_path[0].best.cosine == by_path[1].best.cosine


def test_grey_pictures(client: Either) -> None:
    grey = Image.open(FACE).convert("L")
    alike = [grey, np.asarray(grey), grey.convert("RGB"), grey.convert("LA")]
    scores = [
        client.call(lambda c, kind=kind: c.verify(kind, prompts=TEETH)).best.cosine
        for kind in alike
    ]
    assert scores == pytest.approx([scores[0]] * len(alike), abs=1e-5)


@pytest.mark.parametrize(
    ("pixels", "error", "says"),
    [
        (np.zeros((4, 4, 3)), ValueError, "float64, uint8 is needed"),
        (np.zeros((4, 4, 4), np.uint8), ValueError, r"\[4, 4, 4\], \[height, width, 3\]"),
        (3, TypeError, "a picture cannot be a int"),
        ("no/such/file.png", FileNotFoundError, r"no/such/file\.png"),
    ],
)
def test_what_is_no_picture_is_told_before_it_is_sent(
    client: Either, pixels: object, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        client.call(lambda c: c.verify(pixels, prompts=TEETH))


def test_heatmaps_are_arrays_in_every_encoding(client: Either) -> None:
    def maps(encoding: str, resolution: str = "grid") -> np.ndarray:
        ask = Heatmaps(encoding=encoding, resolution=resolution)
        return client.call(lambda c: c.explain(FACE, prompts=TEETH, heatmaps=ask)).heatmaps[0]

    full = maps("f32").values
    assert full.shape == (14, 14)
    assert full.max() > 0
    assert full.flags.writeable
    for encoding, tolerance in [("f16", 2e-3), ("u8", 1 / 255)]:
        values = maps(encoding).values
        assert values.dtype == np.float32
        assert np.abs(values - full).max() <= tolerance * full.max()
    width, height = Image.open(FACE).size
    assert maps("f32", "image").values.shape == (height, width)
    drawn = maps("png_overlay")
    assert drawn.values is None
    assert drawn.image().size == (width, height)
    with pytest.raises(ValueError, match="png_overlay"):
        maps("f32").image()


def test_heatmap_methods_and_options(client: Either) -> None:
    answer = client.call(lambda c: c.verify(FACE, prompts=["a face"], heatmaps=["legrad", "gem"]))
    assert [each.method for each in answer.heatmaps] == ["legrad", "gem"]
    assert answer.heatmaps[1].raw.modified_network
    one = client.call(lambda c: c.verify(FACE, prompts=["a face"], heatmaps="naclip"))
    assert [each.method for each in one.heatmaps] == ["naclip"]
    for zoom in (Zoom(detected=True), Zoom(boxes=[Box(90, 190, 240, 270)]), Zoom(window=0.5)):
        ask = Heatmaps(zoom=zoom)
        looks = client.call(lambda c, ask=ask: c.explain(FACE, prompts=["teeth"], heatmaps=ask))
        assert looks.heatmaps[0].raw.looks
    with pytest.raises(ValueError, match='methods is "gradcam", none of: grad_eclip, .*, ensemble'):
        client.call(lambda c: c.explain(FACE, prompts=["a"], heatmaps="gradcam"))
    with pytest.raises(ValueError, match="one of detected, boxes and window"):
        client.call(lambda c: c.explain(FACE, prompts=["a"], heatmaps=Heatmaps(zoom=Zoom())))
    ask = Heatmaps(methods=["rollout"], eigen_smoothing=True)
    with pytest.raises(InvalidArgument, match="heatmaps: rollout has no channels to smooth"):
        client.call(lambda c: c.explain(FACE, prompts=["a"], heatmaps=ask))


def test_detect(client: Either) -> None:
    ask = Detect(classes=["eye"], max_detections=2, heatmaps=BoxHeatmaps(methods=["grad_cam"]))
    found = client.call(lambda c: c.detect(FACE, ask))
    assert [box.label for box in found.detections] == ["eye", "eye"]
    box = found.detections[0]
    assert 0 < box.box.width < found.frame_size[0]
    assert 0 < box.box.height < found.frame_size[1]
    assert box.heatmaps[0].values.ndim == 2
    with pytest.raises(InvalidArgument, match="classes.*tail"):
        client.call(lambda c: c.detect(FACE, Detect(classes=["tail"])))


def test_regions(client: Either) -> None:
    ask = Regions(prompts=["an eye"], classes=["eye"], max_regions=1)
    answer = client.call(lambda c: c.verify(FACE, regions=ask))
    assert [(each.label, len(each.scores)) for each in answer.regions] == [("eye", 1)]
    with pytest.raises(ValueError, match="no prompts were asked"):
        _ = answer.best


def test_embed(client: Either) -> None:
    both = client.call(lambda c: c.embed(FACE, texts=TEETH))
    assert both.texts.shape == (2, both.image.shape[0])
    assert np.linalg.norm(both.image) == pytest.approx(1, abs=1e-5)
    score = client.call(lambda c: c.verify(FACE, prompts=TEETH)).scores[0]
    assert both.texts[0] @ both.image == pytest.approx(score.cosine, abs=1e-5)
    assert client.call(lambda c: c.embed(FACE)).texts.shape[0] == 0
    assert client.call(lambda c: c.embed(texts=["a"])).image is None


def test_a_result_is_frozen_and_short_to_look_at(client: Either) -> None:
    answer = client.call(lambda c: c.verify(FACE, prompts=["a"], heatmaps=True))
    with pytest.raises(AttributeError):
        answer.scores = ()
    shown = repr(answer)
    assert "values=<float32 14 x 14>" in shown
    assert "detections" not in shown
    assert "raw" not in shown
    assert len(shown) < 500


def test_models_and_health(client: Either) -> None:
    kinds = {model.name: model.kind for model in client.call(lambda c: c.models())}
    assert kinds == {"clip": "clip", "evidence": "clip", "yolo": "detector"}
    client.call(lambda c: c.wait_until_ready())
    for service in ("", "ready", "live"):
        assert client.call(lambda c, s=service: c.health(s)) == "serving"
