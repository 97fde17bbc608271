"""Amazon SNS: topics that hand what is published to queues, functions and HTTP endpoints."""

from oncue.services.sns.service import Sns

__all__ = ["Sns"]
