"""How far a generated answer may be believed: answer.py ANSWER PICTURE [PICTURE ...]"""

import os
import sys

from veriframe import Client

answer, *pictures = sys.argv[1:]
address = os.environ.get("VERIFRAME_ADDRESS", "127.0.0.1:50051")
with Client(address, api_key=os.environ.get("VERIFRAME_API_KEY")) as client:
    checked = client.verify_answer(answer, pictures)

for claim in checked.claims:
    print(f"{claim.text}: {claim.status}, {', '.join(claim.reasons)}")
    for testimony in claim.testimonies:
        why = testimony.silence or f"by {testimony.support:+.1f}"
        print(f"    {testimony.witness}: {testimony.stance}, {why}")
print(f"as a whole: {checked.status} ({checked.calibration.name})")
