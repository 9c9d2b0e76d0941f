"""What an OpenAPI document cannot say: who asks, what there is, and what is right in requests that are meant to be valid."""

import collections
import json
import os
import pathlib

import requests
import schemathesis

# Written by main.rs: the admin's token, a guest's login, the things that are there, and where to note what was answered.
WORLD = json.loads(pathlib.Path(os.environ["QUADRILLE_CONTRACT"]).read_text())
turns = collections.Counter()


@schemathesis.auth(refresh_interval=None)
class Login:
    """The admin's. What ends the login that asks gets one of its own each time, of a guest's."""

    def get(self, case, context):
        if case.operation.label != "POST /auth/logout-all":
            return WORLD["token"]
        answer = requests.post(WORLD["login"], json=WORLD["guest"], timeout=20)
        answer.raise_for_status()
        return answer.json()["access_token"]

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    # A cursor comes from the page before: made up, none is valid.
    if isinstance(case.query, dict):
        case.query.pop("cursor", None)
        case.query = sayable(case.query)
    case.body = sayable(case.body)
    # Every other request of an operation is about something that is there.
    label = case.operation.label
    if turns[label] % 2 == 0 and isinstance(case.path_parameters, dict):
        case.path_parameters.update(known(label))
    turns[label] += 1


@schemathesis.hook
def after_call(context, case, response):
    with open(WORLD["seen"], "a") as seen:
        seen.write(f"{response.status_code} {case.operation.label}\n")


def known(label):
    """The parameters of the thing that an operation is about: of its path's longest known beginning."""
    path = label.split(" ", 1)[1]
    fitting = [name for name in WORLD["known"] if name == label or path.startswith(name)]
    return WORLD["known"][max(fitting, key=len)] if fitting else {}


def sayable(value):
    """JSON Schema takes 1.0 for an integer, U+0000 for text and numbers of any size, the services do not."""
    if isinstance(value, dict):
        return {name: sayable(member) for name, member in value.items()}
    if isinstance(value, list):
        return [sayable(item) for item in value]
    if isinstance(value, (int, float)) and abs(value) > 1e300:
        return 0
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        return value.replace("\0", "0")
    return value
