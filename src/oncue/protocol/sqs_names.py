"""The names by which the query protocol knows SQS (2012-11-05); its current model speaks JSON only."""

from typing import Any

NAMESPACE = "http://queue.amazonaws.com/doc/2012-11-05/"

# A list travels under the name of its items: AttributeName.1, AttributeName.2 ...
ITEMS = {
    "AWSAccountIdList": "AWSAccountId",
    "ActionNameList": "ActionName",
    "AttributeNameList": "AttributeName",
    "BatchResultErrorEntryList": "BatchResultErrorEntry",
    "BinaryList": "BinaryListValue",
    "ChangeMessageVisibilityBatchRequestEntryList": "ChangeMessageVisibilityBatchRequestEntry",
    "ChangeMessageVisibilityBatchResultEntryList": "ChangeMessageVisibilityBatchResultEntry",
    "DeleteMessageBatchRequestEntryList": "DeleteMessageBatchRequestEntry",
    "DeleteMessageBatchResultEntryList": "DeleteMessageBatchResultEntry",
    "ListMessageMoveTasksResultEntryList": "ListMessageMoveTasksResultEntry",
    "MessageAttributeNameList": "MessageAttributeName",
    "MessageList": "Message",
    "MessageSystemAttributeList": "MessageSystemAttributeName",
    "QueueUrlList": "QueueUrl",
    "SendMessageBatchRequestEntryList": "SendMessageBatchRequestEntry",
    "SendMessageBatchResultEntryList": "SendMessageBatchResultEntry",
    "StringList": "StringListValue",
    "TagKeyList": "TagKey",
}
# A map travels as numbered pairs: Attribute.1.Name, Attribute.1.Value ...
PAIRS = {
    "MessageBodyAttributeMap": ("MessageAttribute", "Name", "Value"),
    "MessageBodySystemAttributeMap": ("MessageSystemAttribute", "Name", "Value"),
    "MessageSystemAttributeMap": ("Attribute", "Name", "Value"),
    "QueueAttributeMap": ("Attribute", "Name", "Value"),
    "TagMap": ("Tag", "Key", "Value"),
}


def with_query_names(table: dict[str, Any]) -> dict[str, Any]:
    """The same table (changed in place) as the query protocol needs it."""
    table["metadata"] |= {"protocol": "query", "xmlNamespace": NAMESPACE}
    shapes = table["shapes"]
    for name, item in ITEMS.items():
        shapes[name]["flattened"] = True
        shapes[name]["member"]["locationName"] = item
    for name, (_, key, value) in PAIRS.items():
        shapes[name]["flattened"] = True
        shapes[name]["key"]["locationName"] = key
        shapes[name]["value"]["locationName"] = value
    for shape in shapes.values():
        for reference in shape.get("members", {}).values():
            if reference["shape"] in PAIRS:
                reference["locationName"] = PAIRS[reference["shape"]][0]
    for name, operation in table["operations"].items():
        if "output" in operation:
            operation["resultWrapper"] = f"{name}Result"
    return table
