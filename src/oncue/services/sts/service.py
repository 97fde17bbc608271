"""The operations of STS: the caller's identity. There are no temporary credentials yet."""

from oncue.services import Call, Service, reads_only


class Sts(Service):
    name = "sts"

    @reads_only
    def get_caller_identity(self, call: Call) -> dict[str, str]:
        """Every key speaks for its whole account, which AWS writes as the account's root."""
        return {
            "Account": call.account,
            "Arn": f"arn:aws:iam::{call.account}:root",
            "UserId": call.account,
        }
