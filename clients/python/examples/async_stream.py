"""The frames of a folder over asyncio: async_stream.py FOLDER PROMPT [PROMPT ...]"""

import asyncio
import os
import sys
from pathlib import Path

from veriframe import AsyncClient


async def main() -> None:
    folder, *prompts = sys.argv[1:]
    address = os.environ.get("VERIFRAME_ADDRESS", "127.0.0.1:50051")
    files = sorted(Path(folder).iterdir())
    async with (
        AsyncClient(address, api_key=os.environ.get("VERIFRAME_API_KEY")) as client,
        client.verify_stream(files, prompts=prompts, max_in_flight=4) as results,
    ):
        async for frame in results:
            best = frame.result.best.prompt if frame.result else frame.error or frame.reason
            print(f"{files[frame.sequence].name}: {frame.status}, {best}")


asyncio.run(main())
