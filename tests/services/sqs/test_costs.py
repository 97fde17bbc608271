"""What an operation costs, in statements: the hot paths stay hot."""

from collections.abc import Callable
from typing import Any

from oncue.services.sqs import Sqs
from oncue.store import Bell, Row, Store, Transaction
from tests.services.sqs.conftest import Local


class Counting:
    """A store that counts the statements and the durable transactions of what runs on it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.shared = store.shared
        self.statements = 0
        self.durable = 0

    async def transact(self, function: Callable[[Any], Any], **options: Any) -> Any:
        self.durable += options.get("durable", True) and not options.get("reads_only", False)
        return await self._store.transact(lambda tx: function(CountingTransaction(self, tx)), **options)

    def listen(self, topic: str) -> Bell:
        return self._store.listen(topic)


class CountingTransaction:
    def __init__(self, counter: Counting, tx: Transaction) -> None:
        self._counter = counter
        self._tx = tx
        self.wake = tx.wake

    def all(self, sql: str, **values: Any) -> list[Row]:
        self._counter.statements += 1
        return self._tx.all(sql, **values)

    def one(self, sql: str, **values: Any) -> Row | None:
        self._counter.statements += 1
        return self._tx.one(sql, **values)

    def run(self, sql: str, **values: Any) -> int:
        self._counter.statements += 1
        return self._tx.run(sql, **values)


async def test_statements(opened: Store) -> None:
    counting = Counting(opened)
    local = Local(counting, Sqs())  # type: ignore[arg-type]

    async def cost(operation: str, **parameters: Any) -> tuple[int, int]:
        counting.statements = counting.durable = 0
        replies.append(await getattr(local, operation)(**parameters))
        return counting.statements, counting.durable

    replies: list[Any] = []
    url = await local.queue()
    assert await local.bodies(url) == []
    assert await cost("send_message", QueueUrl=url, MessageBody="m") == (2, 1)
    assert await cost("receive_message", QueueUrl=url) == (2, 0)
    handle = replies[-1]["Messages"][0]["ReceiptHandle"]
    hide = {"QueueUrl": url, "ReceiptHandle": handle, "VisibilityTimeout": 1}
    assert await cost("change_message_visibility", **hide) == (2, 1)
    assert await cost("delete_message", QueueUrl=url, ReceiptHandle=handle) == (2, 1)
    assert await cost("receive_message", QueueUrl=url) == (3, 0)
    entries = [{"Id": str(number), "MessageBody": "m"} for number in range(10)]
    assert await cost("send_message_batch", QueueUrl=url, Entries=entries) == (11, 1)
    assert await cost("receive_message", QueueUrl=url, MaxNumberOfMessages=10) == (2, 0)
    handles = [message["ReceiptHandle"] for message in replies[-1]["Messages"]]
    batch = [{"Id": str(number), "ReceiptHandle": handle} for number, handle in enumerate(handles)]
    assert await cost("delete_message_batch", QueueUrl=url, Entries=batch) == (11, 1)
