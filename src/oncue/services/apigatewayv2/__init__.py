"""HTTP APIs: the API Gateway v2 control plane, and the gateway that answers their requests."""
