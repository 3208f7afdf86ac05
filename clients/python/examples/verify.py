"""Scores, boxes and heatmaps of one picture: verify.py PICTURE PROMPT [PROMPT ...]"""

import os
import sys

from veriframe import Client

picture, *prompts = sys.argv[1:]
address = os.environ.get("VERIFRAME_ADDRESS", "127.0.0.1:50051")
with Client(address, api_key=os.environ.get("VERIFRAME_API_KEY")) as client:
    answer = client.verify(picture, prompts=prompts, detect=True, heatmaps=True)

for score in answer.scores:
    sure = "" if score.confidence is None else f", {score.confidence:.0%} likely"
    print(f"{score.prompt}: contrast {score.contrast:+.3f}{sure}")
for box in answer.detections:
    print(f"{box.label} {box.confidence:.0%} at {box.box}")
for heatmap in answer.heatmaps:
    if heatmap.values is not None:
        row, column = divmod(int(heatmap.values.argmax()), heatmap.values.shape[1])
        print(f"{heatmap.prompt}: hottest in row {row}, column {column}, {heatmap.quality}")
