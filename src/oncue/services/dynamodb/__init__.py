"""DynamoDB: tables of items, with conditional writes, queries and transactions."""

from oncue.services.dynamodb.service import Dynamodb

__all__ = ["Dynamodb"]
