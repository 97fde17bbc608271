"""The environment of a function: the standard variables of Lambda, the user's, the way back to us."""

import os
import sys
from pathlib import Path

from oncue.workers import FunctionVersion, Settings

GUEST = Path(__file__).parent / "guest"
PATH = f"{Path(sys.base_prefix) / 'bin'}:/usr/local/bin:/usr/bin:/bin:/opt/bin"


def of_worker(
    version: FunctionVersion, settings: Settings, *, root: Path, temporary: Path, log_stream: str
) -> dict[str, str]:
    """A function may replace the first group by its own values; the second is reserved.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    free = {
        "AWS_ENDPOINT_URL": settings.endpoint_url(),
        "HOME": os.fspath(temporary),  # so that no configuration of the server's user is read
        "LANG": "en_US.UTF-8",
        "LD_LIBRARY_PATH": f"{root}:{root / 'lib'}:/opt/lib",
        "PATH": PATH,
        "TMPDIR": os.fspath(temporary),
        "TZ": ":UTC",
    }
    reserved = {
        "AWS_ACCESS_KEY_ID": settings.access_key(version.account),
        "AWS_SECRET_ACCESS_KEY": settings.secret_key(version.account),
        "AWS_SESSION_TOKEN": "",
        "AWS_DEFAULT_REGION": version.region,
        "AWS_REGION": version.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{version.runtime}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(version.memory_mb),
        "AWS_LAMBDA_FUNCTION_NAME": version.name,
        "AWS_LAMBDA_FUNCTION_VERSION": version.version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": version.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "LAMBDA_RUNTIME_DIR": os.fspath(GUEST),
        "LAMBDA_TASK_ROOT": os.fspath(root),
        "_HANDLER": version.handler,
    }
    return free | dict(version.environment) | reserved
