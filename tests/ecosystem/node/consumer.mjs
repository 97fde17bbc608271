// sqs-consumer against the server on the port given: batches, failures that come again, long polls, stopping.
import { CreateQueueCommand, GetQueueAttributesCommand, SendMessageBatchCommand, SQSClient } from "@aws-sdk/client-sqs";
import { Consumer } from "sqs-consumer";

const sqs = new SQSClient({
  endpoint: `http://127.0.0.1:${process.argv[2]}`,
  region: "us-east-1",
  credentials: { accessKeyId: "test", secretAccessKey: "test" },
});
const name = `consumer-${process.pid}-${process.argv[2]}`;
const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: name, Attributes: { VisibilityTimeout: "30" } }));
const handled = [];
let failed = false;

const consumer = Consumer.create({
  queueUrl: QueueUrl,
  sqs,
  batchSize: 10,
  waitTimeSeconds: 5,
  messageAttributeNames: ["All"],
  terminateVisibilityTimeout: true,
  pollingCompleteWaitTimeMs: 10000,
  handleMessage: async (message) => {
    if (message.Body === "3" && !failed) {
      failed = true;
      throw new Error("once");
    }
    if (message.MessageAttributes.colour.StringValue !== "rot") throw new Error("attributes");
    handled.push(message.Body);
    if (handled.length === 8) consumer.stop();
    return message;
  },
});
const stopped = new Promise((resolve) => consumer.on("stopped", resolve));
const errors = [];
consumer.on("error", (error) => errors.push(String(error)));
consumer.start();
const attribute = { colour: { DataType: "String", StringValue: "rot" } };
const Entries = [...Array(8).keys()].map((n) => ({ Id: `${n}`, MessageBody: `${n}`, MessageAttributes: attribute }));
await sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries }));
await stopped;
const AttributeNames = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames }));
console.log(JSON.stringify({ handled: handled.sort(), failed, errors, left: Attributes }));
