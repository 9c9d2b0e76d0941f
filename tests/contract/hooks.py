"""What an OpenAPI document cannot say, put right in the requests that are meant to be valid."""

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    # A cursor comes from the page before: made up, none is valid.
    if isinstance(case.query, dict):
        case.query.pop("cursor", None)
    # JSON Schema takes 1.0 for an integer, the services do not.
    case.body = whole(case.body)


def whole(value):
    if isinstance(value, dict):
        return {name: whole(member) for name, member in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
