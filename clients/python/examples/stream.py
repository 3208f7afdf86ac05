"""Scores of a video's frames, as they come: stream.py FOLDER|VIDEO PROMPT [PROMPT ...]

A folder's pictures are the frames, by name. A video needs imageio with PyAV, or OpenCV.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from veriframe import Bgr, Client, Frame


def frames(path: Path) -> Iterator[Frame]:
    if path.is_dir():
        for number, file in enumerate(sorted(path.iterdir())):
            yield Frame(file, presentation_time=number / 25)
        return
    try:
        import imageio.v3 as imageio

        rate = imageio.immeta(path, plugin="pyav")["fps"]
        for number, pixels in enumerate(imageio.imiter(path, plugin="pyav")):
            yield Frame(pixels, presentation_time=number / rate)
    except ImportError:
        import cv2

        video = cv2.VideoCapture(str(path))
        if not video.isOpened():
            sys.exit(f"{path} cannot be opened")
        while True:
            time = video.get(cv2.CAP_PROP_POS_MSEC) / 1000
            there, pixels = video.read()
            if not there:
                return
            yield Frame(Bgr(pixels), presentation_time=time)


def main() -> None:
    path, *prompts = sys.argv[1:]
    address = os.environ.get("VERIFRAME_ADDRESS", "127.0.0.1:50051")
    with (
        Client(address, api_key=os.environ.get("VERIFRAME_API_KEY")) as client,
        client.verify_stream(frames(Path(path)), prompts=prompts, verdicts=True) as results,
    ):
        for frame in results:
            if frame.result is None:
                print(f"{frame.sequence}: {frame.status} {frame.error or frame.reason or ''}")
                continue
            scores = ", ".join(f"{s.prompt} {s.contrast:+.3f}" for s in frame.result.scores)
            print(f"{frame.sequence}: {scores}")
    if results.summary:
        print(f"{results.summary.ok} of {results.summary.frames} frames answered")
        for prompt in results.summary.prompts:
            print(f"{prompt.prompt}: {prompt.verdict} {' '.join(prompt.reasons)}")


main()
