"""Tests of the CloudFormation room."""
