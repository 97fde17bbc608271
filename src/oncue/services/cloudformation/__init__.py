"""AWS CloudFormation: templates become queues, tables, functions and APIs, and stay what they say."""

from oncue.services.cloudformation.service import Cloudformation

__all__ = ["Cloudformation"]
