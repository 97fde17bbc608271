"""The committed tables: made from the pinned botocore, and nothing that Python cannot check is hidden."""

import json
import re
from importlib.metadata import version

from tools import models

from oncue.protocol.constraints import compiled
from oncue.protocol.model import TABLES, catalog, service_model

# Patterns of Java that Python does not know (nearly all: tags, with Unicode classes). They are not checked.
NOT_CHECKED = {
    "dynamodb": {"AutoScalingPolicyName", "AutoScalingRoleArn"},
    "events": {"RunCommandTargetKey"},
    "iam": {"tagKeyType", "tagTemplateKeyType", "tagTemplateValueType", "tagValueType"},
    "lambda": {"TagKey", "TagValue"},
    "logs": {"ResourceType", "TagFilterKey", "TagFilterValue", "TagKey", "TagValue"},
    "ssm": {
        *("AzureApplicationDisplayName", "AzureSubscriptionDisplayName", "AzureTenantDisplayName"),
        *("CloudConnectorDescription", "CloudConnectorIamRoleArn", "DefaultInstanceName", "DisplayName"),
        *("GcpProjectDisplayName", "NodeFilterValue", "NodeName", "PatchGroup", "TagKey", "TagValue"),
        "TargetKey",
    },
    "stepfunctions": {"TraceHeader"},
    "sts": {"tagKeyType", "tagValueType"},
}


def test_regenerating_changes_nothing() -> None:
    made = dict(models.tables())
    there = {path.name: path.read_text(encoding="utf-8") for path in models.TARGET.iterdir()}
    assert made.keys() == there.keys()
    assert [name for name in made if made[name] != there[name]] == []


def test_the_catalogue_says_which_botocore_it_is_from() -> None:
    assert json.loads((TABLES / "catalog.json").read_text())["botocore"] == version("botocore")


def test_the_tables_have_no_prose() -> None:
    for service in catalog():
        assert not re.search(r'"documentation|<p>', (TABLES / f"{service}.json").read_text())


def test_patterns_that_are_not_checked() -> None:
    unknown: dict[str, set[str]] = {}
    for service in catalog():
        for name, shape in service_model(service).shapes.items():
            if "pattern" in shape and compiled(shape["pattern"]) is None:
                unknown.setdefault(service, set()).add(name)
    assert unknown == NOT_CHECKED
