"""Posts with httpx, one after the other: python3 post_httpx.py <url> <token> <count>"""

import sys

import httpx

url, token, count = sys.argv[1:]
with httpx.Client(headers={"authorization": f"Bearer {token}"}, trust_env=False) as client:
    for number in range(int(count)):
        answer = client.post(url, content=str(number))
        assert (answer.status_code, answer.text) == (200, str(number)), (number, answer.status_code, answer.text)
