"""Mends what a schema cannot say in the right requests of tests/fuzz, so that they are right; wrong ones stay wrong."""

import os

import schemathesis

# What tests/fuzz has put into the catalogue, with a price in EUR.
KNOWN = ("mug", "poster")
PUBLISHABLE = os.environ.get("TILL_FUZZ_KEY", "").startswith("pk_")


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    operation = case.operation.definition.raw["operationId"]
    if operation == "create_order":
        sell_what_is_there(case)
    elif operation == "put_product":
        name_one_product(case)
    elif operation in ("list_orders", "list_products"):
        keep_one_cursor(case)


def sell_what_is_there(case):
    """A document does not know a shop's SKUs and discounts. With a secret key half of the orders stay as they are."""
    body = case.body
    lines = body.get("line_items") if isinstance(body, dict) else None
    if not isinstance(lines, list) or not (PUBLISHABLE or len(lines) % 2 == 1):
        return
    known = [
        {"sku": KNOWN[at % len(KNOWN)], "quantity": line.get("quantity", 1)}
        for at, line in enumerate(lines)
        if isinstance(line, dict)
    ]
    case.body = {**body, "currency": "EUR", "line_items": known, "discount_code": None, "shipping_method": None}


def name_one_product(case):
    """The SKU of the body is that of the path, or left out."""
    if isinstance(case.body, dict) and case.body.get("sku") is not None:
        case.body = {**case.body, "sku": case.path_parameters["sku"]}


def keep_one_cursor(case):
    """A page starts after one entry or ends before one."""
    if case.query and "starting_after" in case.query:
        case.query.pop("ending_before", None)
