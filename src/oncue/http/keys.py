"""Who may sign: the named keys of --auth, or everybody; and which account a key speaks for."""

import hashlib
import hmac
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from oncue import arns
from oncue.errors import SetupError

ACCOUNT = re.compile(r"\d{12}")
FUNCTION_PREFIX = "ASIAFN"  # the temporary key of an account's functions: the prefix and the account


@dataclass(frozen=True, slots=True)
class Key:
    secret: str
    account: str


class Keys:
    """`strict` is whether signatures are checked."""

    def __init__(self, named: dict[str, Key] | None = None) -> None:
        self.strict = named is not None
        self._named = named or {}
        seed = "\n".join(f"{name}={key.secret}" for name, key in sorted(self._named.items()))
        self._seed = hashlib.sha256(seed.encode()).digest()

    def find(self, access_key: str) -> Key | None:
        """The key of that name; None when it is not known. Without --auth a 12-digit name is the account
        itself."""
        if not self.strict:
            return Key("", access_key if ACCOUNT.fullmatch(access_key) else arns.ACCOUNT_DEFAULT)
        account = access_key.removeprefix(FUNCTION_PREFIX)
        if account != access_key and ACCOUNT.fullmatch(account):
            return Key(self.of_functions(account)[1], account)
        return self._named.get(access_key)

    def of_functions(self, account: str) -> tuple[str, str]:
        """Access key and secret with which the functions of an account sign; equal on nodes with equal
        --auth."""
        if not self.strict:
            return account, "test"
        secret = hmac.new(self._seed, account.encode(), hashlib.sha256).hexdigest()
        return f"{FUNCTION_PREFIX}{account}", secret


def read(path: Path) -> Keys:
    """The file of --auth: TOML with one table per key, `[AKIDEXAMPLE]` with `secret` and, optionally,
    `account`."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SetupError(f"The keys in {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SetupError(f"The keys in {path} are not TOML: {error}.") from None
    named = {}
    for name, table in tables.items():
        secret = table.get("secret") if isinstance(table, dict) else None
        account = str(table.get("account", arns.ACCOUNT_DEFAULT)) if isinstance(table, dict) else ""
        if not isinstance(secret, str) or not secret or not ACCOUNT.fullmatch(account):
            raise SetupError(f'{path}: [{name}] needs secret = "…" and may have account = "<12 digits>".')
        named[name] = Key(secret, account)
    if not named:
        raise SetupError(f"{path} names no key; nobody could sign.")
    return Keys(named)
