"""HTTP APIs: the API Gateway v2 control plane, and the gateway that answers their requests."""

from oncue.services.apigatewayv2.service import Apigatewayv2

__all__ = ["Apigatewayv2"]
