"""AWS::Logs::LogGroup."""

from oncue import arns
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.cloudformation.kinds import Kind, Made, Subject, gone, props, shapes
from oncue.services.cloudformation.resources.queues import tags_of


class LogGroup(Kind):
    """Ref: the group's name. GetAtt: Arn (with `:*` at its end, as AWS gives it)."""

    type = "AWS::Logs::LogGroup"
    name_property = "LogGroupName"
    name_length_max = 512
    attributes = frozenset({"Arn"})
    properties = shapes(
        props("text", "LogGroupName", replaces=True),
        props("integer", "RetentionInDays"),
        props("list", "Tags"),
    )

    def create(self, call: Call, subject: Subject) -> Made:
        tags = tags_of(subject.properties)
        call.logs.create_log_group(logGroupName=subject.name, **({"tags": tags} if tags else {}))
        days = subject.properties.get("RetentionInDays")
        if days is not None:
            call.logs.put_retention_policy(logGroupName=subject.name, retentionInDays=days)
        arn = arns.build("logs", call.region, call.account, f"log-group:{subject.name}:*")
        return Made(subject.name, {"Arn": arn})

    def update(self, call: Call, subject: Subject) -> Made:
        name = subject.physical_id
        days = subject.properties.get("RetentionInDays")
        if days is None:
            call.logs.delete_retention_policy(logGroupName=name)
        else:
            call.logs.put_retention_policy(logGroupName=name, retentionInDays=days)
        had, wants = tags_of(subject.before), tags_of(subject.properties)
        arn = subject.attributes["Arn"].removesuffix(":*")
        if had.keys() - wants.keys():
            call.logs.untag_resource(resourceArn=arn, tagKeys=sorted(had.keys() - wants.keys()))
        if wants and wants != had:
            call.logs.tag_resource(resourceArn=arn, tags=wants)
        return Made(name, subject.attributes)

    def delete(self, call: Call, subject: Subject) -> None:
        try:
            call.logs.delete_log_group(logGroupName=subject.physical_id)
        except ServiceError as error:
            if not gone(error.code):
                raise


KINDS: tuple[Kind, ...] = (LogGroup(),)
