"""SSM: the parameter store, as far as parameters are not secret."""

from oncue.services.ssm.service import Ssm

__all__ = ["Ssm"]
