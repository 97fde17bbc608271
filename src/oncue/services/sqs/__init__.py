"""Amazon SQS: queues whose messages are items of the backlog."""

from oncue.services.sqs.service import Sqs

__all__ = ["Sqs"]
