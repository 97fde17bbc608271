"""The door: bytes of HTTP to one performed operation, and back."""
