"""Leads the generated orders of tests/fuzz to products that are there, so that some can be placed and paid."""

import schemathesis

KNOWN = ("mug", "poster")


@schemathesis.hook.apply_to(operation_id="create_order")
def map_case(context, case):
    body = case.body
    if case.meta is not None and not case.meta.generation.mode.is_positive:
        return case
    if not isinstance(body, dict) or not isinstance(body.get("line_items"), list):
        return case
    # Three of four orders stay as they were made.
    if len(body["line_items"]) % 4 != 1:
        return case
    body = {key: value for key, value in body.items() if key not in ("discount_code", "shipping_method")}
    body["currency"] = "EUR"
    body["line_items"] = [
        {"sku": KNOWN[at % len(KNOWN)], "quantity": line.get("quantity", 1)}
        for at, line in enumerate(body["line_items"])
        if isinstance(line, dict)
    ]
    case.body = body
    return case
