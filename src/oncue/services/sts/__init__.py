"""STS: who is asking."""

from oncue.services.sts.service import Sts

__all__ = ["Sts"]
