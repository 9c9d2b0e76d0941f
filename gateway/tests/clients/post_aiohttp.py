"""Posts with aiohttp, one after the other: python3 post_aiohttp.py <url> <token> <count>"""

import asyncio
import sys

import aiohttp


async def main(url: str, token: str, count: str) -> None:
    async with aiohttp.ClientSession(headers={"authorization": f"Bearer {token}"}) as session:
        for number in range(int(count)):
            async with session.post(url, data=str(number)) as answer:
                text = await answer.text()
                assert (answer.status, text) == (200, str(number)), (number, answer.status, text)


asyncio.run(main(*sys.argv[1:]))
