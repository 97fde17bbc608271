"""IAM: roles and policies, kept and given back, not enforced."""

from oncue.services.iam.service import Iam

__all__ = ["Iam"]
